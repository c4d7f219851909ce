"""The nats-server program: where it is, whether it is new enough, and how `box` runs it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from service.cluster.bus import OLDEST_SERVER

PROGRAM = "nats-server"
SETTINGS = """\
# Written by atttrack box at each start.
listen: 127.0.0.1:{port}
server_name: box
jetstream {{ store_dir: "{folder}", sync_interval: always }}
authorization {{ user: box, password: "{password}" }}
"""


class NoServer(Exception):
    """There is no nats-server that a cluster can stand on; the message says what to do."""


def find_server() -> str:
    """Return the path of the program. Raises NoServer.

    First beside this Python, where `pip install '.[cluster]'` puts it, since Debian's own is too old.
    """
    places = [str(Path(sys.executable).parent), *os.environ.get("PATH", "").split(os.pathsep), "/usr/sbin"]
    found = [path for place in places if (path := shutil.which(PROGRAM, path=place))]
    oldest = ".".join(map(str, OLDEST_SERVER))
    remedy = "install it: pip install '.[cluster]' in the project's folder"
    versions = {path: _version(path) for path in found}
    for path, version in versions.items():
        if version[:2] >= OLDEST_SERVER:
            return path
    if not found:
        raise NoServer(f"there is no {PROGRAM} here, and a cluster needs {oldest} or newer; {remedy}")
    told = ", ".join(f"{path} is {'.'.join(map(str, version))}" for path, version in versions.items())
    raise NoServer(f"a cluster needs {PROGRAM} {oldest} or newer, and {told}; {remedy}")


def write_settings(folder: Path, port: int, password: str) -> Path:
    """Write the settings of a server for this machine alone, and return the file; mode 0600."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "nats.conf"
    text = SETTINGS.format(port=port, folder=folder / "jetstream", password=password)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    return path


def _version(path: str) -> tuple[int, ...]:
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return (0,)
    found = re.search(r"v?(\d+)\.(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else (0,)
