"""Pack what `make gpu-train` needs on a machine without network: packages and data, in parts small enough to carry.

    python -m benchmarks.train_kit runs/train-kit --data ../shared/data
    python -m benchmarks.train_kit runs/train-kit --data ../shared/data --packages av lap onnx onnxscript onnxruntime

DIR/1, DIR/2 ... hold at most `--part` MiB each: the wheels, then the sequences that are videos, then as many
photographs of each folder with YOLO labels (images/ and labels/) as the rest takes, shrunk to `--side`. What is left
out is named. `python -m training.schedule --kit DIR` unpacks them.
"""

import argparse
import io
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from itertools import chain, zip_longest
from pathlib import Path

import cv2
from tqdm import tqdm

from benchmarks.gpu_kit import SMALL, download

BLOCK = 512
"""Bytes: tar rounds up to them."""
RECORD = 20 * BLOCK
"""An archive ends in a full one of these."""
SEQUENCE_FILES = ("video.mp4", "gt.txt", "gt/gt.txt", "seqinfo.ini")


class Parts:
    """Folders that are filled one after another, each up to `limit` bytes, `count` of them at most."""

    def __init__(self, folder: Path, limit: int, count: int) -> None:
        self._folder, self._limit, self._left = folder, limit, count
        self._used, self._number = 0, 0
        self._archive: tarfile.TarFile | None = None

    def add_file(self, path: Path) -> bool:
        """A file as it is; False where no part has room for it."""
        if not self._room(path.stat().st_size):
            return False
        (self._part / path.name).write_bytes(path.read_bytes())
        return True

    def add(self, name: str, content: bytes) -> bool:
        """A file of the data; False where no part has room for it."""
        size = BLOCK + -(-len(content) // BLOCK) * BLOCK
        if not self._room(size, RECORD):
            return False
        if self._archive is None:
            self._archive = tarfile.open(self._part / f"data-{self._number}.tar", "w")
            self._used += RECORD
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        self._archive.addfile(entry, io.BytesIO(content))
        return True

    def close(self) -> None:
        """Finish the archive that is open."""
        if self._archive is not None:
            self._archive.close()
            self._archive = None

    @property
    def _part(self) -> Path:
        return self._folder / str(self._number)

    def _room(self, size: int, first: int = 0) -> bool:
        """Count `size` as taken, in another part if need be. first: what the first file of an archive takes besides."""
        needed = size + (first if self._archive is None else 0)
        if self._number == 0 or self._used + needed > self._limit:
            if not self._left or size + first > self._limit:
                return False
            self.close()
            self._number, self._left, self._used = self._number + 1, self._left - 1, 0
            self._part.mkdir(parents=True)
        self._used += size
        return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill the folder."""
    options = _parser().parse_args(arguments)
    if options.folder.exists() and any(options.folder.iterdir()):
        raise SystemExit(f"{options.folder} is not empty; delete it or name another")
    parts = Parts(options.folder, int(options.part * 2**20), options.parts)
    lost: list[str] = []
    if options.packages:
        with tempfile.TemporaryDirectory() as folder:
            wanted = [f"{name}=={version(name)}" for name in options.packages]
            lost += [path.name for path in download(wanted, Path(folder), options.python) if not parts.add_file(path)]
    folders = [path for path in sorted((options.data / "sequences").iterdir()) if path.is_dir()]
    sequences = [folder for folder in folders if (folder / "video.mp4").is_file()]
    for path in (folder / file for folder in _mot17_first(sequences) for file in SEQUENCE_FILES):
        if path.is_file() and not parts.add(str(path.relative_to(options.data)), path.read_bytes()):
            lost.append(str(path.relative_to(options.data)))
    albums = [path for path in sorted(options.data.glob("images/*")) if path.is_dir()]
    known = [album for album in albums if (album / "images").is_dir() and (album / "labels").is_dir()]
    photos = list(_in_turn([sorted((album / "images").iterdir()) for album in known]))
    packed = 0
    for path in tqdm(photos, unit="photo", disable=None):
        if not _add_photo(parts, path, options):
            break
        packed += 1
    parts.close()
    for file in sorted(options.folder.rglob("*.*")):
        print(f"{file.stat().st_size / 2**20:7.1f} MiB  {file}")
    print(f"{packed} of {len(photos)} photographs" + (f"; no room for {', '.join(lost)}" if lost else ""))
    if pictures := [folder.name for folder in folders if folder not in sequences]:
        print(f"left out, since only videos are packed and they have no video.mp4: {', '.join(pictures)}")
    if others := [album.name for album in albums if album not in known]:
        print(f"left out, since only images/ with YOLO labels/ are packed, no COCO or CrowdHuman: {', '.join(others)}")
    return int(bool(lost))


def _mot17_first(folders: Sequence[Path]) -> list[Path]:
    """The benchmark that the paper's tables are about goes first."""
    return sorted(folders, key=lambda folder: (not folder.name.startswith("MOT17"), folder.name))


def _in_turn(folders: Sequence[Sequence[Path]]) -> Iterator[Path]:
    """One picture of each folder after another, so that all are there when room runs out."""
    return (path for path in chain.from_iterable(zip_longest(*folders)) if path is not None)


def _add_photo(parts: Parts, path: Path, options: argparse.Namespace) -> bool:
    """A photograph, shrunk, and its labels, which are relative to its sides."""
    image = cv2.imread(str(path))
    if image is None:
        raise SystemExit(f"cannot read {path} as a picture")
    ratio = options.side / max(image.shape[:2])
    if ratio < 1:
        image = cv2.resize(image, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
    content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, options.quality])[1].tobytes()
    labels = path.parent.parent / "labels" / f"{path.stem}.txt"
    text = labels.read_bytes() if labels.exists() else b""
    target = path.relative_to(options.data)
    return parts.add(str(labels.relative_to(options.data)), text) and parts.add(
        str(target.with_suffix(".jpg")), content
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.train_kit",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--data", type=Path, required=True, help="folder with sequences/ and images/")
    parser.add_argument("--part", type=float, default=60, metavar="MIB", help="size of a part (default %(default)s)")
    parser.add_argument("--parts", type=int, default=2, metavar="N", help="parts at most (default %(default)s)")
    parser.add_argument("--packages", nargs="*", default=SMALL, help="wheels to carry (default av lap tqdm)")
    parser.add_argument("--python", default="3.12", metavar="X.Y", help="the target's Python (default %(default)s)")
    parser.add_argument("--side", type=int, default=640, metavar="PX", help="longest side of photographs")
    parser.add_argument("--quality", type=int, default=80, help="of their JPEG (default %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
