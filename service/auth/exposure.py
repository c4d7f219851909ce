"""What has to be in place before the service listens: a key where others can reach it, and TLS files that work."""

import ssl
from pathlib import Path

from service.auth.keys import KeyRing
from service.settings import Settings


class ExposureError(Exception):
    """The service must not listen like this; the message says what mends it."""


def check_exposure(settings: Settings, keys: KeyRing) -> None:
    """Raise ExposureError when anybody on the network could do anything, or when TLS was asked for and cannot be."""
    if not settings.bound_to_loopback and not keys:
        state = f" --state-dir {settings.state_dir}" if settings.state_dir else ""
        raise ExposureError(
            f"{settings.host} can be reached from other machines, and there is no API key. Make one with\n"
            f"  atttrack keys add admin --scope admin{state}\n"
            "or give ATTTRACK_API_KEY or ATTTRACK_API_KEY_FILE, or listen on --host 127.0.0.1"
        )
    check_tls(settings)


def check_tls(settings: Settings) -> None:
    """Raise ExposureError when TLS was asked for and cannot be."""
    if settings.tls_cert is not None and settings.tls_key is not None:
        _load(settings.tls_cert, settings.tls_key)


def _load(certificate: Path, key: Path) -> None:
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key, lambda: "")
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or type(error).__name__
        raise ExposureError(
            f"--tls-cert {certificate} and --tls-key {key} cannot be used ({reason}); both are PEM files without a "
            "pass phrase, and belong together"
        ) from None
