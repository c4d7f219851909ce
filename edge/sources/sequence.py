"""`SequenceSource`: a MOTChallenge sequence, as image folder or as video, whole or a range of it."""

import configparser
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from edge.arrays import U8
from edge.sources.base import Frame, SourceError, SourceState, StateObserver
from edge.sources.settings import SourceSettings
from edge.sources.state import StateCell
from edge.sources.video import VideoFile


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
            text = path.read_text(encoding="utf-8-sig")
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
                "not_found", f"{path.parent} is no MOTChallenge sequence: it has no {path.name}"
            ) from None
        except (OSError, KeyError, ValueError, configparser.Error) as error:
            raise SourceError("no_video", f"{path} is no sequence description: {error}") from None
        if not (info.frame_rate > 0 and min(info.length, info.width, info.height) > 0):
            raise SourceError("no_video", f"{path}: frameRate, seqLength, imWidth and imHeight must be above 0")
        return info


class SequenceSource:
    """Frames `first` to `last` (counted from 1, both included; None: to the end) of a sequence folder.

    The folder holds `seqinfo.ini` and either `img1/000001.jpg ...` or `video.mp4`. `Frame.index` is 0 at `first`.
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
        self._images = self.path / self.info.image_folder
        self._video = None if self._images.is_dir() else VideoFile(self.path / "video.mp4", settings)

    @property
    def state(self) -> SourceState:
        return self._cell.now

    @property
    def truth_path(self) -> Path | None:
        """The truth in MOTChallenge format where the folder has it: gt.txt or gt/gt.txt."""
        return next((path for path in (self.path / "gt.txt", self.path / "gt" / "gt.txt") if path.is_file()), None)

    def __iter__(self) -> Iterator[Frame]:
        pictures = self._read_images() if self._video is None else self._read_video(self._video)
        try:
            for index, image in enumerate(pictures):
                if self._cell.closed.is_set():
                    return
                self._cell.running()
                yield Frame(image, index, index / self.info.frame_rate, time.time(), "media", self.first + index)
        except SourceError as error:
            raise self._cell.failed(error) from None
        finally:
            self._cell.ended()

    def close(self) -> None:
        self._cell.closed.set()
        if self._video is not None:
            self._video.close()

    def _read_images(self) -> Iterator[U8]:
        for number in range(self.first, self.last + 1):
            path = self._images / f"{number:06d}{self.info.image_suffix}"
            image = cv2.imread(str(path))
            if image is None:
                raise SourceError(
                    "not_found", f"{path} is missing or no image; the sequence promises {self.info.length}"
                )
            yield np.ascontiguousarray(image, dtype=np.uint8)

    def _read_video(self, video: VideoFile) -> Iterator[U8]:
        for frame in islice(video, self.first - 1, self.last):
            yield frame.image
