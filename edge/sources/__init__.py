"""Where frames come from: `open_source` takes a camera's URL, a file, a MOTChallenge folder or `synthetic://`."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from edge.sources.base import Source, SourceError, StateObserver
from edge.sources.camera import CameraSource
from edge.sources.decoding import ON_CPU, Decoding
from edge.sources.rtsp.camera_url import SCHEMES, CameraUrl
from edge.sources.sequence import SequenceSource
from edge.sources.settings import SourceSettings
from edge.sources.synthetic import SyntheticSource
from edge.sources.video import RealTime, VideoFile

Opener = Callable[[str, SourceSettings, StateObserver | None, Decoding], Source]


def open_source(
    url: str | Path,
    *,
    username: str | None = None,
    password: str | None = None,
    settings: SourceSettings | None = None,
    real_time: bool = False,
    on_state: StateObserver | None = None,
    decoding: Decoding = ON_CPU,
) -> Source:
    """The source behind `url`: rtsp(s)://, http(s):// for Motion JPEG, synthetic://, or a path (or file://) to a video
    or a sequence folder.

    Cameras connect when they are iterated; files are opened here. `real_time` plays files and scenes at their own pace.
    `decoding`: from `choose_decoding`; sequence folders are decoded on the CPU.
    Raises SourceError: scheme_not_allowed, invalid_url, not_found, no_video, codec_unsupported.
    """
    settings = settings or SourceSettings()
    scheme = "" if isinstance(url, Path) else str(url).partition("://")[0].lower() if "://" in str(url) else ""
    if scheme in SCHEMES:
        camera = CameraUrl.parse(str(url), username, password)
        return CameraSource(camera, settings, on_state, connect=decoding.connect)
    opener = OPENERS.get(scheme)
    if opener is None:
        allowed = "rtsp://, rtsps://, http:// (MJPEG), https://, file://, synthetic:// or a path"
        raise SourceError("scheme_not_allowed", f"{scheme}:// is no source; give {allowed}")
    source = opener(str(url), settings, on_state, decoding)
    return RealTime(source, isinstance(source, SyntheticSource) and source.patient) if real_time else source


def _open_path(path: str, settings: SourceSettings, on_state: StateObserver | None, decoding: Decoding) -> Source:
    if Path(path).is_dir():
        return SequenceSource(path, settings=settings, on_state=on_state)
    return VideoFile(path, settings, on_state, decoding.accelerator())


def _open_file_url(url: str, settings: SourceSettings, on_state: StateObserver | None, decoding: Decoding) -> Source:
    return _open_path(unquote(urlsplit(url).path), settings, on_state, decoding)


def _open_synthetic(url: str, settings: SourceSettings, on_state: StateObserver | None, decoding: Decoding) -> Source:
    return SyntheticSource.from_url(url, on_state)


OPENERS: dict[str, Opener] = {"": _open_path, "file": _open_file_url, "synthetic": _open_synthetic}
"""What opens which scheme; cameras stand apart, since only they have credentials."""
