"""Options of a cluster's programs: which server, and who asks. Settings of the service may stand beside them."""

import argparse
import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.cluster.bus import BusAddress
from service.configuration import BAD_SETTINGS, PROGRAM, read_settings, stop
from service.settings import Settings
from service.store import ID_PATTERN

MAIN = "main"
"""The first site."""


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """How a program reaches its cluster."""

    bus: BusAddress
    site: str
    name: str
    domain: str | None = None
    """JetStream domain of the site, where its server is reached through another one."""


def add_options(parser: argparse.ArgumentParser, *, name: str | None = None) -> None:
    """Add the flags; each has a variable ATTTRACK_*, too. `name`: what the program is called by default."""
    parser.add_argument(
        "--nats", metavar="URL,URL", help="servers, as nats://127.0.0.1:4222 or tls://nats1:4222; a user and password "
        "belong into the variable ATTTRACK_NATS (default: nats://127.0.0.1:4222)",
    )  # fmt: skip
    parser.add_argument(
        "--nats-ca", type=Path, metavar="PATH", help="authority (PEM) of the servers (default: the system's)"
    )
    parser.add_argument(
        "--nats-cert", type=Path, metavar="PATH", help="own certificate (PEM), where servers ask for it (default: none)"
    )
    parser.add_argument("--nats-key", type=Path, metavar="PATH", help="its private key (PEM; default: none)")
    parser.add_argument("--site", help=f"nodes that reach the same cameras (default: {MAIN})")
    parser.add_argument("--name", help=f"of this program in the cluster (default: {name or 'the machine'})")


def read_options(given: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> ClusterOptions:
    """Return the options; exits with code 2 where they make no sense."""

    def value(name: str) -> str | None:
        flag = getattr(given, name, None)
        return str(flag) if flag is not None else environment.get(f"ATTTRACK_{name.upper()}")

    if given.nats and "@" in given.nats:
        stop(BAD_SETTINGS, "nats: a command line is there for all to read; give user and password by ATTTRACK_NATS")
    site, name = value("site") or MAIN, value("name") or socket.gethostname()
    for what, text in (("site", site), ("name", name)):
        if not re.fullmatch(ID_PATTERN, text):
            stop(BAD_SETTINGS, f"{what}: expected 1 to 64 letters, digits, '.', '_' or '-'")
    files = {one: Path(path) if (path := value(one)) else None for one in ("nats_ca", "nats_cert", "nats_key")}
    for one, file in files.items():
        if file is not None and not file.is_file():
            stop(BAD_SETTINGS, f"{one}: {file} is no file")
    urls = [url for url in (value("nats") or "nats://127.0.0.1:4222").split(",") if url]
    try:
        address = BusAddress.parse(urls, name, files["nats_ca"], files["nats_cert"], files["nats_key"])
    except ValueError as error:
        stop(BAD_SETTINGS, f"nats: {error}")
    return ClusterOptions(address, site, name, getattr(given, "domain", None))


def parse(verb: str, about: str, epilog: str, arguments: Sequence[str]) -> tuple[ClusterOptions, Settings]:
    """Options and settings of a program that may have both; exits with code 2 where they make no sense."""
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} {verb}", description=about, epilog=epilog, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add_options(parser)
    if verb == "gateway":
        parser.add_argument(
            "--domain", help="JetStream domain of a site that is reached through another server (default: none)"
        )
    given, flags = parser.parse_known_args(arguments)
    return read_options(given), read_settings(flags)
