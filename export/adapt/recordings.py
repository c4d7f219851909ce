"""What a camera has recorded: films and folders of pictures, and which stretches of them are looked at."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from edge.sources import open_source
from edge.sources.base import Frame, SourceError

FILMS = frozenset(
    ".mp4 .mov .m4v .mkv .webm .avi .ts .mts .m2ts .mpg .mpeg .flv .asf .wmv .ogv .h264 .hevc .264 .265 .ivf".split()
)
KEPT = 0.2
"""Share at the end of each recording that nothing is learnt from."""
LEARNT_FRAMES, KEPT_FRAMES = 60, 150
"""Length of a stretch where not all is looked at: long enough for a track, short enough to see many moments."""
LEAST_FRAMES = 60
"""Of all recordings together; fewer are no use."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One film, or one folder of pictures with its seqinfo.ini."""

    path: Path
    frames: int
    frame_rate: float | None

    @property
    def first_kept(self) -> int:
        """The frame, from 0, at which the part begins that is kept out of training."""
        return self.frames - round(self.frames * KEPT)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive frames of a recording."""

    recording: Recording
    first: int
    """From 0."""
    last: int
    """Not included."""
    kept: bool
    """Whether it is kept out of training, for the report."""

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.recording.path.name}-{self.first:06d}"

    def __len__(self) -> int:
        return self.last - self.first


def find_recordings(place: Path) -> list[Recording]:
    """The film or sequence folder `place`, or those in the folder `place`, in the order of names.

    Raises ValueError where there is none or too little of it, SourceError for one that cannot be read.
    """
    if not place.exists():
        raise ValueError(f"there is no {place}; --video takes a film, or a folder with films")
    alone = place.is_file() or _is_sequence(place)
    paths = [place] if alone else sorted(one for one in place.iterdir() if _is_recording(one))
    if not paths:
        raise ValueError(f"{place} has no film in it; expected files such as hall.mp4, or folders with seqinfo.ini")
    recordings = [_read(path) for path in paths]
    if (frames := sum(one.frames for one in recordings)) < LEAST_FRAMES:
        raise ValueError(f"{place} has {frames} frames, too few to learn from; a minute of film is, an hour is better")
    return recordings


def choose_stretches(recordings: Sequence[Recording], most: int) -> list[Stretch]:
    """About `most` frames, a fifth of them kept out: all there is, or stretches evenly spread over each recording."""
    share = min(1.0, most / sum(one.frames for one in recordings))
    stretches = []
    for one in recordings:
        middle = one.first_kept
        stretches += _spread(one, 0, middle, share, LEARNT_FRAMES, kept=False)
        stretches += _spread(one, middle, one.frames, share, KEPT_FRAMES, kept=True)
    return stretches


def _spread(recording: Recording, first: int, last: int, share: float, length: int, kept: bool) -> list[Stretch]:
    """Stretches of that length within first..last that make up `share` of it; one as long as all, where that is 1."""
    room = last - first
    if share == 1 or room <= length:
        return [Stretch(recording, first, last, kept)] if room else []
    count = min(max(1, round(room * share / length)), room // length)
    each = room / count
    starts = [first + int(i * each + (each - length) / 2) for i in range(count)]
    return [Stretch(recording, start, start + length, kept) for start in starts]


def frames_of(recording: Recording, stretches: Sequence[Stretch]) -> Iterator[tuple[Stretch, Frame]]:
    """The frames of stretches of one recording, in order; what lies between is decoded and left out. A film that ends
    before it said it would has fewer.

    Raises SourceError for a recording that cannot be read.
    """
    waiting = sorted(stretches, key=lambda one: one.first)
    with closing(open_source(recording.path)) as source:
        for frame in source:
            while waiting and frame.index >= waiting[0].last:
                waiting.pop(0)
            if not waiting:
                return
            if frame.index >= waiting[0].first:
                yield waiting[0], frame


def _is_recording(path: Path) -> bool:
    if path.name.startswith("."):  # what other systems leave beside a film, under its name
        return False
    return path.suffix.lower() in FILMS if path.is_file() else _is_sequence(path)


def _is_sequence(path: Path) -> bool:
    return path.is_dir() and (path / "seqinfo.ini").is_file()


def _read(path: Path) -> Recording:
    """Raises SourceError that names the recording."""
    try:
        with closing(open_source(path)) as source:
            count = source.frame_count or sum(1 for _ in source)
            return Recording(path, count, source.frame_rate)
    except SourceError as error:
        told = str(error)
        raise SourceError(error.code, told if path.name in told else f"{path}: {told}") from None
