"""Detections in, identities out: FairMOT's tracker, batched over tracks, with time in seconds.

`update_all` is the whole algorithm in order; READ IT FIRST. It differs from FairMOT's source in six points:
time is measured in seconds, an id is given when a track is confirmed (so unconfirmed ones use none up), a track that
was lost for too long is gone at once (there it could still be matched one frame later), boxes that no camera
can have made are ignored, a weak detection, which starts no track, keeps one going that was seen in the frame
before (ByteTrack section 3; a network that is not to do that leaves weak detections out), and keyframes decide: the
student follows people, the teacher says who there is.

Where there are several classes, tracks keep the one that they were born with, and meet detections of no other. A
detection whose class is not known may meet anybody, and starts no track.

After an interruption of the stream (`Tracker.interrupt`), where motion says nothing any more, an id that would be given
to a newcomer goes to the absent person who looks like it, if there is one.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edge.arrays import F64, I64, Bool
from edge.tracking.assignment import assign
from edge.tracking.blocks import Rows
from edge.tracking.boxes import xyah_to_xyxy
from edge.tracking.costs import appearance_cost, keep_apart
from edge.tracking.crowd import Crowd, left, second_boxes, smoothed
from edge.tracking.detections import SCORE_THRESHOLD, Detections, Gone, Tracks, TrackState, Why
from edge.tracking.drift import Drift
from edge.tracking.kalman import NOMINAL_FRAME_S, POSITION, VAR_POSITION, VELOCITY, KalmanFilter
from edge.tracking.seen import Seen
from edge.tracking.settings import TrackerSettings as TrackerSettings
from edge.tracking.tracklets import Tracklets

LONGEST_GAP_S = 60.0
"""After a longer pause nothing is known about who is where: the tracker forgets everybody and starts afresh."""
TIME_TOLERANCE_S = 1e-3
"""Two times closer than this are equal: time stamps are rounded, and sums of them are not exact."""

UNKNOWN_SPEED = 5.0
"""Hazard of somebody whose speed is unknown, per square of the speed of others in box sides per second."""

_TENTATIVE, _CONFIRMED, _LOST = (np.uint8(state) for state in TrackState)
_KALMAN = KalmanFilter()


class Tracker:
    """One stream's identities. Ids count from 1; nothing is shared between trackers."""

    def __init__(self, settings: TrackerSettings | None = None) -> None:
        self.settings = settings or TrackerSettings()
        self._drift = Drift()
        self._keyframe_s = np.nan  # of the last update that decided who is there, on the tracker's clock
        self._tracklets = Tracklets.empty()
        self._absent = Tracklets.empty()
        """Who was known when the stream broke off and was not found again yet; their motion means nothing."""
        self._now_s = 0.0
        self._ended: list[tuple[I64, F64, Why]] = []
        """Ids and when they were last seen, since the last report of an update."""
        self._next_id = 1
        self._births = 0
        self._told: dict[int, int] = {}
        """Birth -> id that was given ahead, by this scout or the one that is followed."""
        self._vouched: I64 | None = None
        """Of a scout: whom it was given; they are not gone, whatever it thinks. None: not a scout."""
        self._first_frame = True

    def update(
        self,
        detections: Detections,
        dt_s: float,
        threshold: float = SCORE_THRESHOLD,
        between_keyframes: bool = False,
    ) -> Tracks:
        """The people seen in this frame; those seen for the first time appear in the next one, if seen again.

        `dt_s` is the time since the previous update, ignored on the first; 0 or more. `threshold`: score above which a
        detection is not weak, 0 to 1. `between_keyframes`: a heavier network has seen a frame
        before, and will see a later one. Raises ValueError for another dt_s or when embeddings have another length
        than before; the tracker is then as it was.
        """
        return update_all([Look(self, detections, dt_s, threshold, between_keyframes)])[0]

    def take_in(self, detections: Detections, dt_s: float, threshold: float, between_keyframes: bool) -> Tracks:
        """An `update` that does not tell who is gone: the next one does."""
        return _take_in_all([Look(self, detections, dt_s, threshold, between_keyframes)])[0]

    def scout(self) -> "Tracker":
        """A copy that goes ahead and gives ids, but leaves to this tracker who is gone: edge.tracking.hindsight."""
        scout = copy(self)
        scout._tracklets, scout._absent = self._tracklets.copy(), self._absent.copy()
        scout._drift, scout._ended, scout._told = copy(self._drift), list(self._ended), {}
        ids = np.concatenate((self._tracklets.ids, self._absent.ids))
        scout._vouched = ids[ids > 0]
        return scout

    def stand_alone(self) -> None:
        """Of a scout: go on as any tracker, since the one that it was copied from never follows."""
        self._vouched, self._told = None, {}

    def follow(self, scout: "Tracker") -> None:
        """From now on, whom the scout has named gets that id when confirmed; others get ids that it has not given."""
        self._told, self._next_id = scout._told, scout._next_id

    def overtake(self) -> None:
        """All that the scout saw was taken in: whom it named in vain is gone."""
        named = np.array([*self._told.values()], np.int64)
        vain = np.setdiff1d(named, np.concatenate((self._tracklets.ids, self._absent.ids)))
        self._ended.append((vain, np.full(len(vain), self._now_s), "unseen"))
        self._told = {}

    def interrupt(self, gap_s: float) -> None:
        """Nothing was seen for `gap_s` seconds and the next update starts afresh, but for whom it knows by sight.

        Nobody is reported until seen again. Whoever looks like somebody last seen at most `relink_s` ago gets the old
        id; motion starts at rest. Raises ValueError unless `gap_s` is a finite number, 0 or more.
        """
        _check_time("gap_s", gap_s)
        self._now_s += gap_s
        self._tracklets.keep(self._tracklets.states != _TENTATIVE)
        if len(self._tracklets):
            self._absent.append(self._tracklets)
        self._tracklets = Tracklets.empty()
        self._first_frame = True

    def rescale(self, x: float, y: float) -> None:
        """The picture's sides were multiplied by `x` and `y`, and so is all that is known of where people are.

        Raises ValueError unless both are finite and above 0.
        """
        if not (0 < x < np.inf and 0 < y < np.inf):
            raise ValueError(f"a picture's sides are multiplied by finite numbers above 0, got {x} and {y}")
        factors = np.array((x, y, x / y, y))  # of x, y, aspect ratio and height
        for tracklets in (self._tracklets, self._absent):
            tracklets.motion[:VAR_POSITION] *= factors
            tracklets.motion[VAR_POSITION:] *= np.square(factors)

    def lost(self) -> Tracks:
        """The people not seen in the last frame but remembered, where the motion model expects them."""
        return self._report(_LOST)

    def newcomers(self) -> int:
        """How many were seen once and have no id yet."""
        return len(self._tracklets) - self._tracklets.known

    def hazards(self) -> F64:
        """(N,) how soon the boxes of the people seen last will be wrong, per square second: see edge.tracking.drift.

        Of somebody whose speed is not known yet, it is that of the others beside the square of their mean speed.
        """
        rows = self._tracklets.states == _CONFIRMED
        waits_s2 = self._tracklets.waits_s2[rows]
        hazards = self._drift.hazards(self._tracklets.harms[rows], waits_s2)
        unknown = waits_s2 == 0
        if unknown.any():
            hazards[unknown] += UNKNOWN_SPEED * self._mean_square_speed(rows)
        return hazards

    def _mean_square_speed(self, rows: Bool) -> float:
        """Of those whose speed is known, in box sides per second, squared; 1 where there is nobody."""
        known = rows & (self._tracklets.waits_s2 > 0)
        if not known.any():
            return 1.0
        motion = self._tracklets.motion[:, known]
        aspect, height = motion[POSITION, :, 2], motion[POSITION, :, 3]
        sides = np.abs(motion[VELOCITY, :, :2]) / NOMINAL_FRAME_S / np.stack((aspect * height, height), axis=1)
        return float(np.square(sides.sum(axis=1)).mean())

    def predict_boxes(self, after_s: float) -> Tracks:
        """The people of the last `update`, moved on by `after_s` seconds: for a frame that no network saw.

        The tracker itself does not change: nobody is born, lost or forgotten, and the next update's `dt_s` still counts
        from the last update.
        """
        tracks = replace(self._report(_CONFIRMED), clock_s=self._now_s + after_s)
        tracks.xyxy[:] += np.tile(tracks.velocities, 2) * np.float32(after_s)
        tracks.ages_s[:] += np.float32(after_s)
        tracks.unseen_s[:] += np.float32(after_s)
        tracks.detection[:] = -1
        return tracks

    def _check(self, detections: Detections, dt_s: float) -> None:
        """Raise ValueError for a time that is none, or embeddings of another length than before."""
        if not self._first_frame:
            _check_time("dt_s", dt_s)
        dim = detections.embeddings.shape[1]
        expected = (self._tracklets if len(self._tracklets) else self._absent).embeddings.shape[1]
        if len(detections) and expected not in (0, dim):
            raise ValueError(f"embeddings have {dim} numbers, those of this tracker's identities {expected}")

    def _pass(self, dt_s: float) -> bool:
        """Let time pass; whether anybody may have moved meanwhile."""
        if self._first_frame:
            return False
        self._now_s += dt_s
        if dt_s > LONGEST_GAP_S:
            self._keep(self._tracklets, np.zeros(len(self._tracklets), np.bool_), "unseen")
            self._tracklets = Tracklets.empty()
            self._first_frame = True
        return not self._first_frame

    def _conclude(self, follows: bool, news: I64, seen: Seen, judged: Sequence[float]) -> None:
        """What is each tracker's own. follows: a keyframe before this frame has decided who is there; `news`: the
        detections in `seen` that nobody met; `judged`: what was learnt of the drift.
        """
        count, harm, waits_s2 = judged
        if count:
            self._drift.learn(int(count), harm, waits_s2)
        if not follows:
            self._keyframe_s = self._now_s
            self._start(news, seen)
        self._identify()
        self._forget(follows)

    def _start(self, columns: I64, seen: Seen) -> None:
        """The detections `columns` of `seen` are new tracks: confirmed on the first frame, else when seen once more.

        Their id is 0 until `_identify`.
        """
        count = len(columns)
        state = _CONFIRMED if self._first_frame else _TENTATIVE
        self._first_frame = False
        if not count:
            return
        self._tracklets.append(
            Tracklets(
                motion=_KALMAN.initiate(seen.xyah[columns]),
                embeddings=seen.embeddings[columns],
                births=np.arange(count) + self._births,
                ids=np.zeros(count, np.int64),
                states=np.full(count, state),
                scores=seen.scores[columns],
                first_seen_s=np.full(count, self._now_s),
                last_seen_s=np.full(count, self._now_s),
                harms=np.zeros(count),
                waits_s2=np.zeros(count),
                detection=seen.detection[columns],
                classes=np.zeros(count, np.int32) if seen.classes is None else seen.classes[columns],
            )
        )
        self._births += count

    def _identify(self) -> None:
        """Give an id to everybody who was just confirmed: that of an absent person who looks alike, or a new one."""
        tracklets = self._tracklets
        rows = ((tracklets.ids == 0) & (tracklets.states == _CONFIRMED)).nonzero()[0]
        confirmed = rows
        if self._told and self._vouched is None:
            rows = self._as_told(rows)
        if len(self._absent):
            known = self._now_s - self._absent.last_seen_s <= self.settings.relink_s + TIME_TOLERANCE_S
            self._keep(self._absent, known, "unseen")
            rows = self._relink(rows)
        tracklets.ids[rows] = np.arange(self._next_id, self._next_id + len(rows))
        self._next_id += len(rows)
        if self._vouched is not None:
            self._told |= zip(tracklets.births[confirmed].tolist(), tracklets.ids[confirmed].tolist(), strict=True)

    def _as_told(self, rows: I64) -> I64:
        """Give the tracklets `rows` the ids that a scout has given; returns the other rows."""
        tracklets = self._tracklets
        told = np.array([self._told.get(birth, 0) for birth in tracklets.births[rows].tolist()], np.int64)
        named = (told > 0) & ~np.isin(told, tracklets.ids)
        tracklets.ids[rows[named]] = told[named]
        found, columns = (told[named, None] == self._absent.ids).nonzero()[::-1]
        self._meet(found, rows[named][columns])
        return rows[~named]

    def _relink(self, rows: I64) -> I64:
        """Give the ids of absent people to the tracklets `rows` that look like them; returns the other rows."""
        tracklets, absent = self._tracklets, self._absent
        if not len(rows) or not len(absent):
            return rows
        cost = appearance_cost(absent.embeddings, tracklets.embeddings[rows]).astype(np.float64)
        keep_apart(cost, absent.classes, tracklets.classes[rows])
        found, columns = assign(cost, self.settings.appearance_limit)
        self._meet(found, rows[columns])
        return np.delete(rows, columns)

    def _meet(self, found: I64, again: I64) -> None:
        """The absent people `found` (N,) are the tracklets `again` (N,)."""
        if not len(found):
            return
        tracklets, absent = self._tracklets, self._absent
        tracklets.ids[again] = absent.ids[found]
        tracklets.first_seen_s[again] = absent.first_seen_s[found]
        tracklets.embeddings[again] = smoothed(
            absent.embeddings[found], tracklets.embeddings[again], np.float32(self.settings.smoothing)
        )
        still_absent = np.ones(len(absent), np.bool_)
        still_absent[found] = False
        absent.keep(still_absent)

    def _forget(self, follows: bool) -> None:
        """Drop tracks lost for too long, and, unless this frame only `follows`, unconfirmed ones not seen again."""
        tracklets = self._tracklets
        dropped = self._now_s - tracklets.last_seen_s > self.settings.lost_after_s + TIME_TOLERANCE_S
        if not follows:
            dropped |= tracklets.states == _TENTATIVE
        self._keep(tracklets, (tracklets.detection >= 0) | ~dropped, "unseen")

    def _keep(self, tracklets: Tracklets, kept: Bool, why: Why) -> None:
        """Forget the others; those who had an id are gone."""
        if kept.all():
            return
        ended = ~kept & (tracklets.ids > 0)
        self._ended.append((tracklets.ids[ended], tracklets.last_seen_s[ended], why))
        tracklets.keep(kept)

    def _gone(self) -> Gone:
        """Who ended since the last update."""
        if not self._ended or self._vouched is not None:
            return Gone.nobody()
        ids, last_seen_s = (np.concatenate(column) for column in list(zip(*self._ended, strict=True))[:2])
        whys = [why for ended, _, why in self._ended for _ in ended]
        self._ended = []
        order = np.argsort(last_seen_s, kind="stable")
        return Gone(ids[order], self._now_s - last_seen_s[order], tuple(whys[row] for row in order))

    def _report(self, state: np.uint8) -> Tracks:
        """The tracks in `state` whose box is large enough and, of a person, slim enough."""
        return _report_all([self], state)[0]

    def _remembered(self, others: I64, reported: I64) -> I64:
        """The ids that may come back: `others` are all but the `reported` ones."""
        if len(self._absent):
            others = np.concatenate((others, self._absent.ids))
        if self._vouched is None:
            return others
        named = np.array([*self._told.values()], np.int64)
        return np.setdiff1d(np.concatenate((others, self._vouched, named)), reported)


@dataclass(frozen=True, slots=True)
class Look:
    """What a tracker is to take in; see `Tracker.update`."""

    tracker: Tracker
    detections: Detections
    dt_s: float
    threshold: float
    between_keyframes: bool


def update_all(looks: Sequence[Look]) -> list[Tracks]:
    """What `Tracker.update` says of each look; many lanes are computed together, at a fraction of the price.

    The trackers are different ones with the same settings, and the same length of embeddings. Raises ValueError as
    `update` does, for any of them; all are then as they were.
    """
    found = _take_in_all(looks)
    return [
        replace(tracks, gone=look.tracker._gone()) if look.tracker._ended else tracks
        for tracks, look in zip(found, looks, strict=True)
    ]


def _take_in_all(looks: Sequence[Look]) -> list[Tracks]:
    """An `update_all` that does not tell who is gone."""
    if not looks:
        return []
    trackers, settings = [look.tracker for look in looks], looks[0].tracker.settings
    if any(one.settings is not settings and one.settings != settings for one in trackers):
        raise ValueError("trackers that are updated together must have the same settings")
    for look in looks:
        look.tracker._check(look.detections, look.dt_s)
    least = np.array([look.threshold for look in looks])
    weakest = (settings.weak_share * least).astype(np.float32)
    frames = [look.detections for look in looks]
    seen = Seen.of(frames, least.astype(np.float32), weakest, settings.same_iou, settings.several)
    moving = np.array([look.tracker._pass(look.dt_s) for look in looks])
    lanes = [tracker._tracklets for tracker in trackers]
    crowd = Crowd(lanes)
    crowd.advance(np.array([look.dt_s for look in looks]), moving)
    follows = np.array([look.between_keyframes and settings.keyframes_decide for look in looks])
    match = crowd.associate(seen, follows, settings)
    now_s = np.array([tracker._now_s for tracker in trackers])
    keyframes_s = np.where(follows, [tracker._keyframe_s for tracker in trackers], np.nan)
    noises = np.where(follows[:, None], settings.noise_between_keyframes, 1.0)
    smoothing = np.where(follows, settings.smoothing_between_keyframes, settings.smoothing).astype(np.float32)
    learnt = crowd.correct(match, seen, now_s, keyframes_s, noises, smoothing)
    crowd.hand_back(lanes)
    new = left(match, seen) & seen.strong
    if seen.classes is not None:
        new &= seen.classes >= 0
    news = new.nonzero()[0]
    ends = np.searchsorted(news, seen.rows.ends).tolist()
    sums = (of.tolist() for of in learnt)
    for tracker, follower, begin, end, *judged in zip(
        trackers, follows.tolist(), [0, *ends], ends, *sums, strict=False
    ):
        tracker._conclude(follower, news[begin:end], seen, judged)
    lanes = [tracker._tracklets for tracker in trackers]
    doubles = second_boxes(lanes, settings.duplicate_distance, TIME_TOLERANCE_S)
    for tracker, double in zip(trackers, doubles, strict=True):
        if double is not None:
            tracker._keep(tracker._tracklets, ~double, "duplicate")
    return _report_all(trackers, _CONFIRMED)


def _report_all(trackers: Sequence[Tracker], state: np.uint8) -> list[Tracks]:
    """What each `Tracker._report` says."""
    lanes, settings = [tracker._tracklets for tracker in trackers], trackers[0].settings
    lane = Rows([len(one) for one in lanes]).lane
    motion: F64 = np.concatenate([one.motion[:VAR_POSITION] for one in lanes], axis=1)
    ids, states, scores, first_seen_s, last_seen_s, detection = (
        np.concatenate([getattr(one, name) for one in lanes])
        for name in ("ids", "states", "scores", "first_seen_s", "last_seen_s", "detection")
    )
    aspect, height = motion[POSITION, :, 2], motion[POSITION, :, 3]
    wanted = states == state
    wanted &= aspect * height * height > settings.smallest_area_px
    classes = np.concatenate([one.classes for one in lanes]) if settings.several else None
    wanted &= aspect <= settings.widest(classes)
    rows = wanted.nonzero()[0]
    rows = rows[np.lexsort((ids[rows], lane[rows]))]  # in order already, but for those found again
    wanted = ids > 0
    wanted[rows] = False
    others = wanted.nonzero()[0]
    now_s = np.array([tracker._now_s for tracker in trackers])[lane[rows]]
    columns: dict[str, Any] = {
        "ids": ids[rows],
        "xyxy": xyah_to_xyxy(motion[POSITION].take(rows, axis=0)).astype(np.float32),
        "scores": scores[rows],
        "states": states[rows],
        "velocities": (motion[VELOCITY, rows, :2] / NOMINAL_FRAME_S).astype(np.float32),
        "ages_s": (now_s - first_seen_s[rows]).astype(np.float32),
        "unseen_s": (now_s - last_seen_s[rows]).astype(np.float32),
        "detection": detection[rows],
    }
    if classes is not None:
        columns["classes"] = classes[rows]
    found, others_ids = [], ids[others]
    numbers = np.arange(len(lanes))
    ends = np.searchsorted(lane[rows], numbers, "right").tolist()
    others_ends = np.searchsorted(lane[others], numbers, "right").tolist()
    nobody = Gone.nobody()
    begin = others_begin = 0
    for tracker, end, others_end in zip(trackers, ends, others_ends, strict=True):
        own = {name: column[begin:end] for name, column in columns.items()}
        remembered = tracker._remembered(others_ids[others_begin:others_end], own["ids"])
        found.append(Tracks(**own, gone=nobody, remembered=remembered, clock_s=tracker._now_s))
        begin, others_begin = end, others_end
    return found


def _check_time(name: str, seconds: float) -> None:
    if not 0 <= seconds < np.inf:
        raise ValueError(f"{name} must be a finite number of seconds, 0 or more, got {seconds}")
