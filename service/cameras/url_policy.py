"""The one place that decides which addresses a stream may have, and that keeps them apart from their secrets."""

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from edge.sources.base import SourceError
from edge.sources.rtsp.camera_url import CameraUrl
from edge.sources.settings import Resolve
from service.cameras.addresses import AddressPolicy, literal
from service.errors import Refused

MAX_URL_LENGTH = 2048
CAMERA_SCHEMES = frozenset({"rtsp", "rtsps", "http", "https"})
FILE_SCHEMES = frozenset({"", "file"})
LOCALHOST = ipaddress.IPv4Address("127.0.0.1")


@dataclass(frozen=True, slots=True)
class Credentials:
    """User name and password of a camera; neither ever shows in `repr`."""

    username: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a stream comes from: `shown` for people and logs, `opened` for the decoder alone."""

    shown: str
    """No user, no password, no secret query values."""
    opened: str = field(repr=False)
    """What `edge.sources.open_source` gets; has the credentials."""
    has_credentials: bool = False
    resolve: Resolve = field(default=AddressPolicy().resolve, repr=False, compare=False)
    """For `edge.sources.settings.SourceSettings`: asked at every connection, so that a name cannot change its mind."""


@dataclass(frozen=True, slots=True)
class UrlPolicy:
    """What may be opened. Raises `Refused` with a stable code on everything else."""

    schemes: Collection[str]
    """Subset of rtsp, rtsps, http, https, synthetic."""
    media_dir: Path | None = None
    """Files and sequence folders below this directory may be opened; None: no files at all."""
    addresses: AddressPolicy = field(default_factory=AddressPolicy)
    """Where cameras may be."""

    def check(self, url: str, credentials: Credentials | None = None) -> Address:
        """Return the address of `url`.

        Codes: invalid_url, scheme_not_allowed, address_not_allowed, path_not_allowed, not_found.
        """
        if not url or len(url) > MAX_URL_LENGTH:
            raise Refused("invalid_url", f"a URL has 1 to {MAX_URL_LENGTH} characters, got {len(url)}")
        if any(c.isspace() or not c.isprintable() for c in url):  # surrogates are not printable either
            raise Refused("invalid_url", "a URL has no spaces and no control characters; write a space as %20")
        try:
            scheme = urlsplit(url).scheme
        except ValueError:
            raise Refused("invalid_url", "not a URL; expected one such as rtsp://192.168.1.20:554/live") from None
        if scheme in FILE_SCHEMES:
            return self._file(url, scheme)
        if scheme not in self.schemes:
            allowed = ", ".join(f"{name}://" for name in sorted(self.schemes))
            raise Refused("scheme_not_allowed", f"{scheme}:// is not allowed here; allowed: {allowed or 'none'}")
        if scheme in CAMERA_SCHEMES:
            return self._camera(url, credentials)
        if credentials:
            raise Refused("invalid_url", f"{scheme}:// takes no credentials")
        return Address(shown=url, opened=url)

    def _camera(self, url: str, credentials: Credentials | None) -> Address:
        user, password = (credentials.username, credentials.password) if credentials else (None, None)
        try:
            camera = CameraUrl.parse(url, user, password)
            if (address := literal(camera.host)) is not None:
                self.addresses.check(address, camera.port)
            elif camera.host.rstrip(".").lower().rpartition(".")[2] == "localhost":
                self.addresses.check(LOCALHOST, camera.port)
        except SourceError as error:
            raise Refused(error.code, str(error)) from None
        has_credentials = camera.username is not None
        return Address(str(camera), camera.with_secret(), has_credentials, self.addresses.resolve)

    def _file(self, url: str, scheme: str) -> Address:
        if self.media_dir is None:
            detail = "files are switched off; expected a URL such as rtsp://192.168.1.20:554/live"
            raise Refused("scheme_not_allowed" if scheme else "invalid_url", detail)
        parts = urlsplit(url)
        if parts.netloc or not parts.path:
            raise Refused("invalid_url", "expected file:///PATH, or a path relative to the media directory")
        path = unquote(parts.path)
        if not path.isprintable():
            raise Refused("invalid_url", "a path has no control characters")
        root = self.media_dir.resolve()
        try:
            target = (root / path).resolve()
            there, usable = target.exists(), target.is_file() or target.is_dir()
        except (OSError, RuntimeError):  # a name that is too long, a link to itself
            raise Refused("invalid_url", "no file can have such a path") from None
        if not target.is_relative_to(root):
            raise Refused("path_not_allowed", "the file is outside the media directory of this service")
        inside = target.relative_to(root)
        if not there:
            raise Refused("not_found", f"the media directory has no {inside}")
        if not usable:
            detail = f"{inside} is no file and no folder, but a pipe, a socket or a device, which may never answer"
            raise Refused("path_not_allowed", detail)
        return Address(shown=f"file:{inside}", opened=str(target))
