"""`SequenceSource`: a MOTChallenge sequence, as image folder or as video, whole or a range of it."""

import configparser
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from edge.arrays import U8
from edge.sources.base import Frame, SourceError, SourceState, StateCell, StateObserver
from edge.sources.settings import SourceSettings
from edge.sources.video import ENDS_EARLY, VideoFile
from edge.text import read_text

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".jp2"})
_NUMBERED = re.compile(r"([^.].*?|)([0-9]+)\.\w+")


@dataclass(frozen=True, slots=True)
class SequenceInfo:
    """What `seqinfo.ini` says."""

    name: str
    frame_rate: float
    length: int
    width: int
    height: int
    image_folder: str = "img1"
    image_suffix: str = ".jpg"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Parse a `seqinfo.ini`. Raises SourceError not_found, no_video naming the file and what is wrong with it."""
        parser = configparser.ConfigParser(interpolation=None)
        try:
            text = read_text(path)
            parser.read_string(text)
            entry = parser["Sequence"]
            info = cls(
                entry.get("name", path.parent.name),
                float(entry["frameRate"]),
                int(entry["seqLength"]),
                int(entry["imWidth"]),
                int(entry["imHeight"]),
                entry.get("imDir", "img1"),
                entry.get("imExt", ".jpg"),
            )
        except FileNotFoundError:
            raise SourceError(
                "not_found",
                f"{path.parent} is no MOTChallenge sequence: it has no {path.name}; a sequence is a folder with "
                f"{path.name} and img1/ or video.mp4, and gt.txt or gt/gt.txt where its people are known",
            ) from None
        except (OSError, KeyError, ValueError, configparser.Error) as error:
            raise SourceError("no_video", f"{path} is no sequence description: {error}") from None
        if not (info.frame_rate > 0 and min(info.length, info.width, info.height) > 0):
            raise SourceError("no_video", f"{path}: frameRate, seqLength, imWidth and imHeight must be above 0")
        return info


class NumberedImages:
    """The images of a folder by their numbers, whatever the first one is and however many digits it has.

    Where names differ in more than the number, those count that are most, and those with the announced suffix first.
    """

    def __init__(self, folder: Path, suffix: str) -> None:
        """`suffix`: as announced; its case and its dot do not matter. Raises SourceError not_found."""
        groups: dict[tuple[str, str], dict[int, Path]] = {}
        for path in sorted(folder.iterdir()):
            name = _NUMBERED.fullmatch(path.name)
            if name is not None and path.suffix.lower() in IMAGE_SUFFIXES:
                groups.setdefault((name[1], path.suffix.lower()), {})[int(name[2])] = path
        if not groups:
            raise SourceError("not_found", f"{folder} holds no numbered images such as 000001.jpg")
        announced = "." + suffix.strip().lstrip(".").lower()
        self._paths = groups[max(groups, key=lambda group: (group[1] == announced, len(groups[group])))]

    def path(self, place: int) -> Path:
        """The image in a place, counted from 1; where it is missing, the name that it would have."""
        number = min(self._paths) + place - 1
        first = self._paths[min(self._paths)]
        stem = first.stem.rstrip("0123456789")
        digits = len(first.stem) - len(stem)
        return self._paths.get(number, first.with_name(f"{stem}{number:0{digits}d}{first.suffix}"))


class SequenceSource:
    """Frames `first` to `last` (counted from 1, both included; None: to the end) of a sequence folder.

    The folder holds `seqinfo.ini` and either `img1/000001.jpg ...` (see `NumberedImages`) or `video.mp4`. `Frame.index`
    is 0 at `first`.
    """

    live = False

    def __init__(
        self,
        path: Path | str,
        first: int = 1,
        last: int | None = None,
        settings: SourceSettings | None = None,
        on_state: StateObserver | None = None,
    ) -> None:
        self.path = Path(path)
        self.info = SequenceInfo.read(self.path / "seqinfo.ini")
        self.first = first
        self.last = self.info.length if last is None else min(last, self.info.length)
        if not 1 <= self.first <= self.last:
            raise SourceError(
                "no_video", f"{self.path} has frames 1 to {self.info.length}, asked for {first} to {last}"
            )
        self.frame_rate: float | None = self.info.frame_rate
        self.frame_count: int | None = self.last - self.first + 1
        self._cell = StateCell(on_state)
        folder = _child(self.path, self.info.image_folder)
        self._images = NumberedImages(folder, self.info.image_suffix) if folder.is_dir() else None
        self._video = None if self._images is not None else VideoFile(self.path / "video.mp4", settings)

    @property
    def state(self) -> SourceState:
        return self._cell.now

    @property
    def truth_path(self) -> Path | None:
        """The truth in MOTChallenge format where the folder has it: gt.txt or gt/gt.txt."""
        return next((path for path in (self.path / "gt.txt", self.path / "gt" / "gt.txt") if path.is_file()), None)

    def __iter__(self) -> Iterator[Frame]:
        pictures = self._read_images() if self._video is None else self._read_video(self._video)
        index = -1
        try:
            for index, image in enumerate(pictures):
                if self._cell.closed.is_set():
                    return
                self._cell.running()
                yield Frame(image, index, index / self.info.frame_rate, time.time(), "media", self.first + index)
            if index + 1 != self.frame_count and not self._cell.closed.is_set():
                came = f"{self.first + index} of {self.info.length} pictures are there"
                self._cell.ended(ENDS_EARLY, f"{self.path} ends early, as if cut off: {came}")
        except SourceError as error:
            raise self._cell.failed(error) from None
        finally:
            self._cell.ended()

    def close(self) -> None:
        self._cell.closed.set()
        if self._video is not None:
            self._video.close()

    def _read_images(self) -> Iterator[U8]:
        assert self._images is not None  # noqa: S101
        for number in range(self.first, self.last + 1):
            path = self._images.path(number)
            image = cv2.imread(str(path))
            if image is None:
                raise SourceError(
                    "not_found", f"{path} is missing or no image; the sequence promises {self.info.length}"
                )
            yield np.ascontiguousarray(image, dtype=np.uint8)

    def _read_video(self, video: VideoFile) -> Iterator[U8]:
        for frame in islice(video, self.first - 1, self.last):
            yield frame.image


def _child(parent: Path, name: str) -> Path:
    """A folder below `parent` by its name in any case, as those who unpack on another system have it."""
    exact = parent / name.strip().replace("\\", "/").rstrip("/")
    alike = [one for one in parent.iterdir() if one.is_dir() and one.name.lower() == exact.name.lower()]
    return exact if exact.is_dir() or exact.parent != parent else next(iter(alike), exact)
