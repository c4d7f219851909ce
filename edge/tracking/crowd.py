"""The tracklets of many lanes behind each other: what moves, meets and is corrected, as one array program over all.

Nobody meets anybody of another lane. Only the assignment of those who compete runs lane by lane.
"""

from collections.abc import Callable, Sequence

import numpy as np

from edge.arrays import F32, F64, I64, Bool
from edge.tracking.assignment import assign_all
from edge.tracking.blocks import Blocks, Rows
from edge.tracking.boxes import paired_iou, xyah_to_xyxy
from edge.tracking.costs import fused_cost, iou_cost, keep_apart
from edge.tracking.detections import TrackState
from edge.tracking.drift import OWN_FADING, harm
from edge.tracking.kalman import POSITION, VELOCITY, KalmanFilter, measured
from edge.tracking.seen import Seen
from edge.tracking.settings import TrackerSettings
from edge.tracking.tracklets import Tracklets

_TENTATIVE, _CONFIRMED, _LOST = (np.uint8(state) for state in TrackState)
_COLUMNS = ("embeddings", "states", "scores", "last_seen_s", "harms", "waits_s2", "detection")
_KALMAN = KalmanFilter()


class Crowd:
    """A copy of the lanes' tracklets, as far as a frame changes them; `hand_back` gives it to them."""

    def __init__(self, lanes: Sequence[Tracklets]) -> None:
        self.rows = Rows([len(lane) for lane in lanes])
        self.motion: F64 = np.concatenate([lane.motion for lane in lanes], axis=1)
        somebody = [lane for lane in lanes if len(lane)] or lanes[:1]  # of nobody the appearance has no length
        columns = [np.concatenate([getattr(lane, name) for lane in somebody]) for name in _COLUMNS]
        self.embeddings, self.states, self.scores, self.last_seen_s, self.harms, self.waits_s2, self.detection = columns
        self.classes = np.concatenate([lane.classes for lane in lanes])
        self.first_seen_s = np.concatenate([lane.first_seen_s for lane in lanes])

    def hand_back(self, lanes: Sequence[Tracklets]) -> None:
        """To those that this was made of."""
        columns = [(name, getattr(self, name)) for name in _COLUMNS]
        for lane, here in zip(lanes, self.rows.slices(), strict=True):
            if here.stop > here.start:
                lane.motion = self.motion[:, here]
                for name, column in columns:
                    setattr(lane, name, column[here])

    def advance(self, dts_s: F64, moving: Bool) -> None:
        """Predict where everybody is after `dts_s` (L,), in the lanes that are `moving` (L,).

        Unconfirmed tracks stay where they were, as in FairMOT, and nobody grows while unseen.
        """
        movers = (moving[self.rows.lane] & (self.states != _TENTATIVE)).nonzero()[0]
        if not len(movers):
            return
        self.motion[VELOCITY, movers[self.states[movers] == _LOST], 3] = 0
        if len(movers) == len(self.rows):
            _KALMAN.predict(self.motion, dts_s[self.rows.lane])
        else:
            motion = self.motion.take(movers, axis=1)
            _KALMAN.predict(motion, dts_s[self.rows.lane[movers]])
            self.motion[:, movers] = motion

    def associate(self, seen: Seen, follows: Bool, settings: TrackerSettings) -> I64:
        """(N,) row in `seen` of every track, -1 where it was not seen: four associations, each with the leftovers.

        In lanes that only `follows` (L,) a keyframe, whoever is where motion expects them is met before looks are
        compared: a keyframe is near, and a student's embeddings tell people apart less well than its teacher's.
        """
        match = np.full(len(self.rows), -1)
        if not len(self.rows) or not len(seen.rows):
            return match
        boxes = xyah_to_xyxy(self.motion[POSITION])

        def overlap_cost(blocks: Blocks) -> F64:
            tracks = blocks.spread_rows(boxes[blocks.rows])
            return iou_cost(tracks, blocks.spread_columns(seen.xyxy[blocks.columns]))

        def fused(blocks: Blocks) -> F64:
            tracks = blocks.spread_rows(_KALMAN.expected(self.motion.take(blocks.rows, axis=1)))
            detections = blocks.spread_columns(measured(seen.xyah[blocks.columns]))
            distance = tracks @ detections.swapaxes(-1, -2)
            looks = blocks.spread_rows(self.embeddings[blocks.rows])
            others = blocks.spread_columns(seen.embeddings[blocks.columns])
            np.maximum(distance, 0, out=distance)
            return fused_cost(looks, others, distance, settings.appearance_weight, settings.gate)

        if follows.any():
            expected = (self.states == _CONFIRMED) & follows[self.rows.lane]
            rows, columns = self._meet(seen, expected, seen.strong, overlap_cost, settings.iou_limit)
            match[rows] = columns
        missing, free = (match < 0) & (self.states != _TENTATIVE), left(match, seen) & seen.strong
        rows, columns = self._meet(seen, missing, free, fused, settings.appearance_limit)
        if settings.iou_confirm > 0:
            real = paired_iou(boxes[rows], seen.xyxy[columns], pixel=1.0) >= settings.iou_confirm
            rows, columns = rows[real], columns[real]
        match[rows] = columns
        for state, weak, limit in (
            (_CONFIRMED, False, settings.iou_limit),
            (_TENTATIVE, False, settings.tentative_iou_limit),
            (_CONFIRMED, True, settings.iou_limit),
        ):
            missing, free = (match < 0) & (self.states == state), left(match, seen) & (seen.strong != weak)
            rows, columns = self._meet(seen, missing, free, overlap_cost, limit)
            match[rows] = columns
        return match

    def correct(
        self, match: I64, seen: Seen, now_s: F64, keyframes_s: F64, noises: F64, smoothing: F32
    ) -> tuple[I64, F64, F64]:
        """Take in what was seen of the known tracks; confirmed ones that were not seen are lost from now on.

        `now_s` (L,). `noises` (L, 4): variance of these boxes, in the usual one. `smoothing` (L,): share of the past in
        looks. `keyframes_s` (L,): in lanes between keyframes, when the last one was; else NaN. Whom only that keyframe
        has seen is not lost yet: a student misses many people who are there, above all small ones. What a weak
        detection looks like is not remembered, as in ByteTrack.

        Returns what was learnt of each lane's drift: how many predictions were judged, and the sums of the harm that
        they did and of the squared times that they reached ahead; (L,) each.
        """
        self.detection[:] = -1
        waits = self.last_seen_s == keyframes_s[self.rows.lane]
        self.states[(match < 0) & (self.states == _CONFIRMED) & ~waits] = _LOST
        rows, count = (match >= 0).nonzero()[0], len(self.rows.counts)
        if not len(rows):
            return np.zeros(count, np.int64), np.zeros(count), np.zeros(count)
        columns, lanes = match[rows], self.rows.lane[rows]
        xyah, motion = seen.xyah.take(columns, axis=0), self.motion.take(rows, axis=1)
        off = np.abs(motion[POSITION, :, :2] - xyah[:, :2])
        harms = harm(off[:, 0] / (xyah[:, 2] * xyah[:, 3]) + off[:, 1] / xyah[:, 3])
        waits_s2 = np.square(now_s[lanes] - self.last_seen_s[rows])
        self.harms[rows] = OWN_FADING * self.harms[rows] + harms
        self.waits_s2[rows] = OWN_FADING * self.waits_s2[rows] + waits_s2
        noise = noises[lanes]
        noise[self.first_seen_s[rows] == keyframes_s[lanes], :2] = 1  # nobody else tells how fast a newcomer is
        self.motion[:, rows] = _KALMAN.update(motion, xyah, noise)
        clear = seen.strong[columns]
        looks = self.embeddings.take(rows[clear], axis=0), seen.embeddings.take(columns[clear], axis=0)
        self.embeddings[rows[clear]] = smoothed(*looks, smoothing[lanes[clear], None])
        self.scores[rows] = seen.scores[columns]
        self.states[rows] = _CONFIRMED
        self.last_seen_s[rows] = now_s[lanes]
        self.detection[rows] = seen.detection[columns]
        sums = [np.bincount(lanes, of, minlength=count).astype(np.float64) for of in (harms, waits_s2)]
        return np.bincount(lanes, minlength=count), sums[0], sums[1]

    def _meet(
        self, seen: Seen, tracks: Bool, detections: Bool, cost: Callable[[Blocks], F64], limit: float
    ) -> tuple[I64, I64]:
        """The best pairs of these tracks (N,) and detections (M,), in each lane."""
        rows, columns = tracks.nonzero()[0], detections.nonzero()[0]
        if not len(rows) or not len(columns):
            return rows[:0], columns[:0]
        lanes = self.rows.lane[rows], seen.rows.lane[columns]
        blocks = Blocks(rows, lanes[0], columns, lanes[1], len(self.rows.counts))
        if not blocks:
            return rows[:0], columns[:0]
        costs = cost(blocks)
        if seen.classes is not None:
            others = blocks.spread_columns(seen.classes[blocks.columns])
            keep_apart(costs, blocks.spread_rows(self.classes[blocks.rows]), others)
        return blocks.named(*assign_all(blocks.without_padding(costs), limit))


def left(match: I64, seen: Seen) -> Bool:
    """(M,) which detections are in nobody's `match`."""
    free = np.ones(len(seen.rows) + 1, np.bool_)  # the last one stands for -1, nobody's
    free[match] = False
    return free[:-1]


def smoothed(past: F32, present: F32, share: F32 | np.float32) -> F32:
    """(N, D) appearance, unit length, of `past` (N, D), `share` of it or (N, 1), after a look at `present` (N, D)."""
    mixed: F32 = share * past
    mixed += (1 - share) * present
    norms = np.sqrt(np.einsum("nd,nd->n", mixed, mixed))
    mixed /= np.maximum(norms, 1e-12)[:, None]
    return mixed


def second_boxes(lanes: Sequence[Tracklets], limit: float, tolerance_s: float) -> list[Bool | None]:
    """Of each lane (N,): the shorter-lived of a seen and a lost track, of one class, closer than `limit` (1 - IoU); the
    seen one if equal. None where there is none.
    """
    found: list[Bool | None] = [None] * len(lanes)
    rows = Rows([len(lane) for lane in lanes])
    detection = np.concatenate([lane.detection for lane in lanes])
    seen, lost = (detection >= 0).nonzero()[0], (detection < 0).nonzero()[0]
    if not len(lost):
        return found
    blocks = Blocks(seen, rows.lane[seen], lost, rows.lane[lost], len(lanes))
    if not blocks:
        return found
    positions: F64 = np.concatenate([lane.motion[POSITION] for lane in lanes])
    boxes = xyah_to_xyxy(positions)
    cost = iou_cost(blocks.spread_rows(boxes[blocks.rows]), blocks.spread_columns(boxes[blocks.columns]))
    seen, lost = blocks.named(*(blocks.without_padding(cost) < limit).nonzero())
    if not len(seen):
        return found
    classes = np.concatenate([lane.classes for lane in lanes])
    alike = classes[seen] == classes[lost]
    seen, lost = seen[alike], lost[alike]
    life_s = np.concatenate([lane.last_seen_s - lane.first_seen_s for lane in lanes])
    seen_is_older = life_s[seen] > life_s[lost] + tolerance_s
    doubles = np.zeros(len(rows), np.bool_)
    doubles[lost[seen_is_older]] = True
    doubles[seen[~seen_is_older]] = True
    slices = rows.slices()
    for lane in np.unique(rows.lane[doubles]):
        found[lane] = doubles[slices[lane]]
    return found
