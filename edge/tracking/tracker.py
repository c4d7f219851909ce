"""Detections in, identities out: FairMOT's tracker, batched over tracks, with time in seconds.

`Tracker.update` is the whole algorithm in order; READ IT FIRST. It differs from FairMOT's source in six points:
time is measured in seconds, an id is given when a track is confirmed (so unconfirmed ones use none up), a track that
was lost for too long is gone at once (there it could still be matched one frame later), boxes that no camera
can have made are ignored, a weak detection, which starts no track, keeps one going that was seen in the frame
before (ByteTrack section 3; a network that is not to do that leaves weak detections out), and between keyframes nobody
is new: the student follows people, the teacher says who there is.

After an interruption of the stream (`Tracker.interrupt`), where motion says nothing any more, an id that would be given
to a newcomer goes to the absent person who looks like it, if there is one.
"""

from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from edge.arrays import F32, F64, I64, Bool
from edge.tracking.assignment import assign
from edge.tracking.boxes import xyah_to_xyxy
from edge.tracking.costs import appearance_cost, fused_cost, iou_cost
from edge.tracking.detections import SCORE_THRESHOLD, Detections, Gone, Tracks, TrackState, Why
from edge.tracking.drift import OWN_FADING, Drift, harm
from edge.tracking.kalman import GATE_95, NOMINAL_FRAME_S, POSITION, VAR_POSITION, VELOCITY, KalmanFilter
from edge.tracking.seen import Seen
from edge.tracking.tracklets import Tracklets

LONGEST_GAP_S = 60.0
"""After a longer pause nothing is known about who is where: the tracker forgets everybody and starts afresh."""
TIME_TOLERANCE_S = 1e-3
"""Two times closer than this are equal: time stamps are rounded, and sums of them are not exact."""

FORGIVEN = 2
"""How often a student may miss somebody whom only the last keyframe has seen."""
UNKNOWN_SPEED = 5.0
"""Hazard of somebody whose speed is unknown, per square of the speed of others in box sides per second."""

_TENTATIVE, _CONFIRMED, _LOST = (np.uint8(state) for state in TrackState)


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """FairMOT's numbers. Distances are costs: a pair has to stay below its limit."""

    weak_share: float = 0.5
    """Detections that score lower, but higher than this share of the threshold, are weak; 1: there are none."""
    new_between_keyframes: bool = False
    """Whether somebody may be new in a frame between keyframes, too, as in AttTrack's paper."""
    same_iou: float = 0.7
    """Of detections that overlap by more (IoU), only the best counts; 1: all do."""
    lost_after_s: float = 1.0
    """Seconds for which an unseen person is remembered."""
    relink_s: float = 30.0
    """Seconds for which somebody seen before an interruption is remembered by appearance."""
    appearance_limit: float = 0.4
    """First association: limit of the fused appearance and motion cost."""
    appearance_weight: float = 0.98
    """Share of appearance in that cost, 0 to 1; the rest is motion."""
    gate: float = GATE_95
    """First association: largest squared Mahalanobis distance."""
    iou_confirm: float = 0.1
    """First association: a pair whose boxes overlap less (IoU) is taken apart again (AttTrack section 3.3); 0 keeps
    them all, as FairMOT. Who is met by looks alone, where motion expects nobody, is more often somebody else."""
    iou_limit: float = 0.5
    """Second and fourth association: limit of 1 - IoU for tracks seen in the frame before."""
    tentative_iou_limit: float = 0.7
    """Third association: limit of 1 - IoU for tracks seen only once."""
    duplicate_distance: float = 0.15
    """A seen and a lost track with a smaller 1 - IoU are one person."""
    smoothing: float = 0.9
    """Share of the past in a track's appearance, 0 to 1."""
    smallest_area_px: float = 100.0
    """Tracks whose box is not larger (width * height, source pixels) are not reported."""
    widest_aspect: float = 1.6
    """Tracks with a larger width/height are not reported."""

    def __post_init__(self) -> None:
        for name in ("weak_share", "same_iou", "appearance_weight", "iou_confirm", "smoothing"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, got {getattr(self, name)}")
        for name in (
            *("lost_after_s", "relink_s", "appearance_limit", "gate", "iou_limit", "tentative_iou_limit"),
            *("duplicate_distance", "smallest_area_px", "widest_aspect"),
        ):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")


class Tracker:
    """One stream's identities. Ids count from 1; nothing is shared between trackers."""

    def __init__(self, settings: TrackerSettings | None = None) -> None:
        self.settings = settings or TrackerSettings()
        self._kalman = KalmanFilter()
        self._drift = Drift()
        self._misses = 0  # updates between keyframes since the last keyframe
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
        return replace(self.take_in(detections, dt_s, threshold, between_keyframes), gone=self._gone())

    def take_in(self, detections: Detections, dt_s: float, threshold: float, between_keyframes: bool) -> Tracks:
        """An `update` that does not tell who is gone: the next one does."""
        seen = self._select(detections, threshold)
        self._advance(dt_s)
        match = self._associate(seen)
        self._misses = self._misses + 1 if between_keyframes else 0
        self._correct(match, seen)
        if self.settings.new_between_keyframes or not between_keyframes:
            self._start(match, seen)
        self._identify()
        self._forget()
        return self._report(_CONFIRMED)

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

    def _advance(self, dt_s: float) -> None:
        """Let time pass: predict where everybody is now. Unconfirmed tracks stay where they were, as in FairMOT."""
        if self._first_frame:
            return
        _check_time("dt_s", dt_s)
        self._now_s += dt_s
        if dt_s > LONGEST_GAP_S:
            self._keep(self._tracklets, np.zeros(len(self._tracklets), np.bool_), "unseen")
            self._tracklets = Tracklets.empty()
            self._first_frame = True
            return
        known = self._tracklets.known
        motion = self._tracklets.motion[:, :known]
        motion[VELOCITY, self._tracklets.states[:known] == _LOST, 3] = 0  # nobody grows while unseen
        self._kalman.predict(motion, dt_s)

    def _select(self, detections: Detections, threshold: float) -> Seen:
        """The detections that count. Raises ValueError where their embeddings are of another length than before."""
        dim = detections.embeddings.shape[1]
        expected = (self._tracklets if len(self._tracklets) else self._absent).embeddings.shape[1]
        if len(detections) and expected not in (0, dim):
            raise ValueError(f"embeddings have {dim} numbers, those of this tracker's identities {expected}")
        return Seen.of(detections, threshold, self.settings.weak_share * threshold, self.settings.same_iou)

    def _associate(self, seen: Seen) -> I64:
        """(N,) row in `seen` of every track, -1 where it was not seen: four associations, each with the leftovers."""
        tracklets, settings = self._tracklets, self.settings
        match = np.full(len(tracklets), -1)
        if not len(tracklets) or not len(seen.scores):
            return match
        boxes = xyah_to_xyxy(tracklets.motion[POSITION])
        rows, columns = assign(self._first_cost(seen), settings.appearance_limit)
        if settings.iou_confirm > 0:
            overlap = 1 - iou_cost(boxes[rows], seen.xyxy[columns]).diagonal()
            real = overlap >= settings.iou_confirm
            rows, columns = rows[real], columns[real]
        match[rows] = columns

        rows = ((match < 0) & (tracklets.states != _LOST)).nonzero()[0]
        columns = _left(match, seen.strong)
        if len(rows) and len(columns):
            cost = iou_cost(boxes[rows], seen.xyxy[columns])
            states = tracklets.states[rows]
            for state, limit in ((_CONFIRMED, settings.iou_limit), (_TENTATIVE, settings.tentative_iou_limit)):
                group = (states == state).nonzero()[0]
                of_group, of_columns = assign(cost[group], limit)
                match[rows[group[of_group]]] = columns[of_columns]
                cost[:, of_columns] = np.inf  # taken

        if seen.strong < len(seen.scores):
            rows = ((match < 0) & (tracklets.states == _CONFIRMED)).nonzero()[0]
            of_rows, columns = assign(iou_cost(boxes[rows], seen.xyxy[seen.strong :]), settings.iou_limit)
            match[rows[of_rows]] = seen.strong + columns
        return match

    def _first_cost(self, seen: Seen) -> F64:
        """(K, S) cost of the first association; unconfirmed tracks and weak detections have no part in it."""
        known, strong, settings = self._tracklets.known, seen.strong, self.settings
        distance = self._kalman.gating(self._tracklets.motion[:, :known], seen.xyah[:strong])
        looks = self._tracklets.embeddings[:known]
        return fused_cost(looks, seen.embeddings[:strong], distance, settings.appearance_weight, settings.gate)

    def _correct(self, match: I64, seen: Seen) -> None:
        """Take in what was seen of the known tracks; confirmed ones that were not seen are lost from now on.

        What a weak detection looks like is not remembered, as in ByteTrack.
        """
        tracklets = self._tracklets
        tracklets.detection[:] = -1
        tracklets.states[(match < 0) & (tracklets.states == _CONFIRMED)] = _LOST
        rows = (match >= 0).nonzero()[0]
        if not len(rows):
            return
        columns = match[rows]
        self._judge(rows, seen.xyah[columns])
        tracklets.motion[:, rows] = self._kalman.update(
            tracklets.motion.take(rows, axis=1), seen.xyah.take(columns, axis=0)
        )
        clear = columns < seen.strong
        tracklets.embeddings[rows[clear]] = self._smoothed(
            tracklets.embeddings.take(rows[clear], axis=0), seen.embeddings.take(columns[clear], axis=0)
        )
        tracklets.scores[rows] = seen.scores[columns]
        tracklets.states[rows] = _CONFIRMED
        tracklets.last_seen_s[rows] = self._now_s
        tracklets.detection[rows] = seen.detection[columns]

    def _judge(self, rows: I64, xyah: F64) -> None:
        """Learn from how far the boxes `xyah` (N, 4) are from where the tracklets `rows` (N,) were expected."""
        tracklets = self._tracklets
        off = np.abs(tracklets.motion[POSITION, rows, :2] - xyah[:, :2])
        harms = harm(off[:, 0] / (xyah[:, 2] * xyah[:, 3]) + off[:, 1] / xyah[:, 3])
        waits_s2 = np.square(self._now_s - tracklets.last_seen_s[rows])
        self._drift.learn(harms, waits_s2)
        tracklets.harms[rows] = OWN_FADING * tracklets.harms[rows] + harms
        tracklets.waits_s2[rows] = OWN_FADING * tracklets.waits_s2[rows] + waits_s2

    def _start(self, match: I64, seen: Seen) -> None:
        """Every strong detection that is left is a new track: confirmed on the first frame, else when seen once more.

        Its id is 0 until `_identify`.
        """
        columns = _left(match, len(seen.scores))
        columns = columns[columns < seen.strong]
        count = len(columns)
        state = _CONFIRMED if self._first_frame else _TENTATIVE
        self._first_frame = False
        if not count:
            return
        self._tracklets.append(
            Tracklets(
                motion=self._kalman.initiate(seen.xyah[columns]),
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
        tracklets.embeddings[again] = self._smoothed(absent.embeddings[found], tracklets.embeddings[again])
        still_absent = np.ones(len(absent), np.bool_)
        still_absent[found] = False
        absent.keep(still_absent)

    def _forget(self) -> None:
        """Drop unconfirmed tracks not seen again, tracks lost for too long, and one of two tracks of one person.

        A student may miss a newcomer twice before the next keyframe.
        """
        tracklets = self._tracklets
        too_long = self._now_s - tracklets.last_seen_s > self.settings.lost_after_s + TIME_TOLERANCE_S
        waits = 0 < self._misses <= FORGIVEN and not self.settings.new_between_keyframes
        dropped = too_long if waits else too_long | (tracklets.states == _TENTATIVE)
        self._keep(tracklets, (tracklets.detection >= 0) | ~dropped, "unseen")
        self._keep(tracklets, ~self._duplicates(), "duplicate")

    def _duplicates(self) -> Bool:
        """(N,) the shorter-lived of a seen and a lost track in one place; the seen one if equal."""
        tracklets = self._tracklets
        duplicates = np.zeros(len(tracklets), np.bool_)
        seen, lost = (tracklets.detection >= 0).nonzero()[0], (tracklets.detection < 0).nonzero()[0]
        if not len(seen) or not len(lost):
            return duplicates
        boxes = xyah_to_xyxy(tracklets.motion[POSITION])
        pairs = (iou_cost(boxes[seen], boxes[lost]) < self.settings.duplicate_distance).nonzero()
        seen, lost = seen[pairs[0]], lost[pairs[1]]
        life_s = tracklets.last_seen_s - tracklets.first_seen_s
        seen_is_older = life_s[seen] > life_s[lost] + TIME_TOLERANCE_S
        duplicates[lost[seen_is_older]] = True
        duplicates[seen[~seen_is_older]] = True
        return duplicates

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
        """The tracks in `state` whose box is large and slim enough for a person."""
        tracklets, settings = self._tracklets, self.settings
        aspect, height = tracklets.motion[POSITION, :, 2], tracklets.motion[POSITION, :, 3]
        wanted = tracklets.states == state
        wanted &= aspect * height * height > settings.smallest_area_px
        wanted &= aspect <= settings.widest_aspect
        rows = wanted.nonzero()[0]
        rows = rows[np.argsort(tracklets.ids[rows])]  # in order already, but for those found again
        others = tracklets.ids > 0
        others[rows] = False
        remembered = np.concatenate((tracklets.ids[others], self._absent.ids))
        if self._vouched is not None:
            named = np.array([*self._told.values()], np.int64)
            remembered = np.setdiff1d(np.concatenate((remembered, self._vouched, named)), tracklets.ids[rows])
        velocities = tracklets.motion[VELOCITY, rows, :2] / NOMINAL_FRAME_S
        return Tracks(
            ids=tracklets.ids[rows],
            xyxy=xyah_to_xyxy(tracklets.motion[POSITION, rows]).astype(np.float32),
            scores=tracklets.scores[rows],
            states=tracklets.states[rows],
            velocities=velocities.astype(np.float32),
            ages_s=(self._now_s - tracklets.first_seen_s[rows]).astype(np.float32),
            unseen_s=(self._now_s - tracklets.last_seen_s[rows]).astype(np.float32),
            detection=tracklets.detection[rows],
            remembered=remembered,
            clock_s=self._now_s,
        )

    def _smoothed(self, past: F32, present: F32) -> F32:
        """(N, D) appearance, unit length, of `past` (N, D) after a look at `present` (N, D)."""
        share = np.float32(self.settings.smoothing)
        mixed = share * past
        mixed += (1 - share) * present
        norms = np.sqrt(np.einsum("nd,nd->n", mixed, mixed))
        mixed /= np.maximum(norms, 1e-12)[:, None]
        return mixed


def _check_time(name: str, seconds: float) -> None:
    if not 0 <= seconds < np.inf:
        raise ValueError(f"{name} must be a finite number of seconds, 0 or more, got {seconds}")


def _left(match: I64, count: int) -> I64:
    """Which of `count` detections are in nobody's `match`."""
    free = np.ones(count + 1, np.bool_)  # the last one stands for -1, nobody's
    free[match] = False
    return free[:count].nonzero()[0]
