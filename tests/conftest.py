"""Shared fixtures: real data where it is at hand, clips made on the spot, and a camera that speaks RTSP."""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import hypothesis
import pytest

from edge.arrays import U8
from testbed.clips import numbered_image, read_clip, write_clip
from testbed.rtsp_server import RtspServer

ROOT = Path(__file__).resolve().parent.parent
CLIP_FRAMES = 100
"""Pictures in `numbered_clip`; picture i carries the number i."""
SLOWEST = (
    "export/test_to_onnx.py",
    "export/test_to_plan.py",
    "export/test_pyramid.py",
    "export/test_sizes.py",
    "training/test_train.py",
    "test_documents.py",
    "benchmarks/gpu/test_check.py",
    "benchmarks/gpu/test_train.py",
    "edge/sources/test_lying_clocks.py",
    "edge/sources/test_whole_pictures.py",
    "training/test_recipes.py",
    "training/test_run.py",
    "service/page/test_page_timeline.py",
    "benchmarks/test_score.py",
)
"""Files that take a minute or so each. They begin first, so that none is left for one process at the end."""

hypothesis.settings.register_profile("untimed", deadline=None)  # time is for benchmarks: a test machine may be busy
hypothesis.settings.load_profile("untimed")

ClipFactory = Callable[..., Path]


def pytest_configure(config: pytest.Config) -> None:
    """A service that is given no state folder finds one of this run; processes started by tests inherit that."""
    folder = tempfile.TemporaryDirectory(prefix="atttrack-state-")
    config.add_cleanup(folder.cleanup)
    os.environ["XDG_STATE_HOME"] = folder.name


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slowest files first, the others in the order of their names."""
    places = {ROOT / "tests" / name: place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: places.get(item.path, len(SLOWEST)))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real sequences, images and videos; skips where there is none."""
    folder = Path(os.environ.get("ATTTRACK_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "sequences").is_dir():
        pytest.skip(f"no real data in {folder}; set ATTTRACK_DATA to a folder with sequences/NAME/video.mp4, gt.txt")
    return folder


@pytest.fixture(scope="session")
def make_clip(tmp_path_factory: pytest.TempPathFactory) -> ClipFactory:
    """A function: BGR images, and the options of `write_clip`, to the path of a new H.264 file."""
    folder = tmp_path_factory.mktemp("clips")

    def make(images: Iterable[U8], **options: float) -> Path:
        return write_clip(folder / f"{len(list(folder.iterdir()))}.mp4", images, **options)

    return make


@pytest.fixture(scope="session")
def numbered_clip(make_clip: ClipFactory) -> Path:
    """Four seconds at 25 frames per second, 320x192; `read_number` reads each picture's position."""
    return make_clip(numbered_image(number) for number in range(CLIP_FRAMES))


@pytest.fixture
def camera(numbered_clip: Path) -> Iterator[RtspServer]:
    """A running RTSP camera that loops `numbered_clip` at `camera.url()`; each client starts at picture 0."""
    with RtspServer({"camera": read_clip(numbered_clip)}) as server:
        yield server
