"""What FFmpeg's errors mean to a user: every failure of opening or reading becomes a `SourceError` without secrets.

FFmpeg's own exceptions carry the URL they were given, password included. They are translated here and never chained.
"""

import av

from edge.sources.base import SourceError
from edge.sources.rtsp.camera_url import CameraUrl
from edge.sources.settings import SourceSettings


def camera_error(error: Exception, url: CameraUrl, settings: SourceSettings, took_s: float) -> SourceError:
    """The `SourceError` of a camera that could not be opened or read."""
    if isinstance(error, SourceError):
        return error
    if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
        return SourceError("auth_failed", f"{url} refused the credentials; check user name and password")
    if isinstance(error, av.error.HTTPNotFoundError):
        return SourceError("not_found", f"{url}: the camera has no such stream; check the path")
    if isinstance(error, av.error.DecoderNotFoundError):
        return SourceError("codec_unsupported", f"{url} sends a codec that cannot be decoded; set it to H.264 or H.265")
    if isinstance(error, MemoryError | BlockingIOError):  # FFmpeg's word for a thread without room for its stack
        limit = f"{settings.decoder_memory_mb} MB"
        return SourceError("decoder_crashed", f"decoding {url} takes more than {limit}; choose a smaller stream")
    if isinstance(error, av.error.ExitError | TimeoutError) or took_s >= settings.connect_timeout_s:
        return SourceError("timeout", f"{url} did not answer in {settings.connect_timeout_s:g} s")
    if isinstance(error, ConnectionRefusedError):
        return SourceError("connection_failed", f"{url}: connection refused; is the camera on and the port right?")
    if isinstance(error, av.error.HTTPError):
        return SourceError("connection_failed", f"{url}: the camera answered with an error; it may be busy")
    if isinstance(error, av.error.InvalidDataError):
        return SourceError("connection_failed", f"{url}: what answered does not speak RTSP")
    return SourceError("connection_failed", f"{url} cannot be reached ({type(error).__name__})")


def file_error(error: Exception, path: str) -> SourceError:
    """The `SourceError` of a file that could not be opened."""
    if isinstance(error, FileNotFoundError):
        return SourceError("not_found", f"{path}: no such file")
    if isinstance(error, IsADirectoryError | PermissionError):
        return SourceError("not_found", f"{path} is no file that can be read")
    if isinstance(error, av.error.DecoderNotFoundError):
        return SourceError("codec_unsupported", f"{path} holds a codec that cannot be decoded")
    return SourceError("no_video", f"{path} is no video that can be read ({type(error).__name__})")
