"""python -m service.doctor.healthcheck: ask the service in this container whether it is alive; exit code 0 or 1.

Runs every few seconds, so it reads just the two settings that it needs and imports nothing else of ours.
"""

import os
import ssl
import sys
import tomllib
from pathlib import Path
from urllib.request import urlopen

TIMEOUT_S = 4.0


def address() -> str:
    """Return the URL of /healthz, from environment and settings file as the service itself does."""
    file = os.environ.get("ATTTRACK_CONFIG")
    settings = tomllib.loads(Path(file).read_text("utf-8-sig")) if file else {}
    port = os.environ.get("ATTTRACK_PORT") or settings.get("port", 8000)
    scheme = "https" if os.environ.get("ATTTRACK_TLS_CERT") or settings.get("tls_cert") else "http"
    return f"{scheme}://127.0.0.1:{port}/healthz"


def main() -> int:
    """Return 0 when the service answers that it is alive."""
    trusting = ssl.create_default_context()  # it talks to this very machine, under a name that no certificate has
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    try:
        with urlopen(address(), timeout=TIMEOUT_S, context=trusting):  # noqa: S310  (our own http URL)
            return 0
    except OSError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
