"""What the tracker goes by."""

from dataclasses import dataclass

import numpy as np

from edge.arrays import F64, I32
from edge.tracking.kalman import GATE_95
from engines.signature import PEOPLE, PERSON


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """FairMOT's numbers. Distances are costs: a pair has to stay below its limit."""

    weak_share: float = 0.5
    """Detections that score lower, but higher than this share of the threshold, are weak; 1: there are none."""
    keyframes_decide: bool = True
    """Whether keyframes alone tell who is there. Between them nobody is new, and whom only the last keyframe has seen
    goes on where motion expects them. False: all frames are alike, as in AttTrack's paper."""
    place_noise_between_keyframes: float = 16.0
    """Variance of where boxes are between keyframes, in that of keyframes: a student is less exact than its teacher.
    Of people whom a single keyframe has seen it is 1, since their speed is not known yet."""
    size_noise_between_keyframes: float = 300.0
    """The same of how large they are: a student says that somebody is there, and where; the teacher knows the size."""
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
    """Limit of 1 - IoU for tracks seen in the frame before: second and fourth association, and between keyframes the
    one before the first."""
    tentative_iou_limit: float = 0.7
    """Third association: limit of 1 - IoU for tracks seen only once."""
    duplicate_distance: float = 0.15
    """A seen and a lost track with a smaller 1 - IoU are one person."""
    smoothing: float = 0.9
    """Share of the past in a track's appearance, 0 to 1."""
    smoothing_between_keyframes: float = 0.97
    """The same between keyframes: what a student says of looks is less sure, too."""
    smallest_area_px: float = 100.0
    """Tracks whose box is not larger (width * height, source pixels) are not reported."""
    widest_aspect: float = 1.6
    """People with a larger width/height are not reported. Others may have any."""
    classes: tuple[str, ...] = PEOPLE
    """Names of those who are tracked. Nobody changes class: a track meets its own, and is nobody's second box else."""

    @property
    def noise_between_keyframes(self) -> F64:
        """(4,) of x, y, width/height and height."""
        return np.repeat((self.place_noise_between_keyframes, self.size_noise_between_keyframes), 2)

    @property
    def several(self) -> bool:
        """Whether there is more than one class."""
        return len(self.classes) > 1

    def widest(self, classes: I32 | None) -> F64:
        """The largest width/height of tracks of these classes (N,); (1,) of all, where there is but one class."""
        widest = np.array([self.widest_aspect if name == PERSON else np.inf for name in self.classes])
        return widest if classes is None else widest[classes]

    def __post_init__(self) -> None:
        for name in (
            "weak_share",
            "same_iou",
            "appearance_weight",
            "iou_confirm",
            "smoothing",
            "smoothing_between_keyframes",
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, got {getattr(self, name)}")
        for name in (
            *("lost_after_s", "relink_s", "appearance_limit", "gate", "iou_limit", "tentative_iou_limit"),
            *("duplicate_distance", "smallest_area_px", "widest_aspect"),
            *("place_noise_between_keyframes", "size_noise_between_keyframes"),
        ):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
