"""atttrack doctor: what of this machine works, and what to do about the rest. Needs no GPU and no network."""

import argparse
import json
import os
import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import SettingsError

from edge.pipeline.backend import open_backend
from engines.errors import EngineError
from service.configuration import PROGRAM, examples, gather
from service.doctor.machine import Check, clock, decoders, decoding, driver, processor, runtimes
from service.settings import Settings

LITTLE_DISK = 100e6
"""Bytes; the state file needs a few megabytes, SQLite's log as much again."""
MARKS = {"ok": "ok", "warn": "WARN", "fail": "FAIL"}


def main(arguments: Sequence[str]) -> int:
    """Print all checks; return 0 where the service can run, 1 where something failed."""
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} doctor",
        description="Look at driver, runtime, decoders, clock, processor, settings, decoding, model pair, port, state\n"
        "and disk.",
        epilog="Flags of the service may follow, such as --config FILE. Exit code 1: something has to be mended first."
        f"\n\n{examples('doctor', 'doctor --json')}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON (default: a table)")
    chosen, flags = parser.parse_known_args(arguments)
    checks = list(examine(flags))
    if chosen.json:
        print(json.dumps({"healthy": healthy(checks), "checks": [asdict(check) for check in checks]}, indent=2))
    else:
        print(table(checks))
    return 0 if healthy(checks) else 1


def examine(flags: Sequence[str]) -> Iterator[Check]:
    """Yield every check; those of the settings only where the settings are right."""
    for look in (driver, runtimes, decoders, clock, processor):
        yield look()
    try:
        settings = gather(flags)
    except (SettingsError, ValidationError):  # whose text may have values
        yield Check("settings", "fail", "wrong", f"see {PROGRAM} config check {' '.join(flags)}".rstrip())
        return
    yield Check("settings", "ok", f"from {settings.config}" if settings.config else "no file")
    of_settings: tuple[Callable[[Settings], Check], ...] = (models, port, state, disk)
    yield decoding(settings.decode, settings.device)
    for look_at in of_settings:
        yield look_at(settings)


def healthy(checks: Sequence[Check]) -> bool:
    """Return whether the service can run."""
    return all(check.status != "fail" for check in checks)


def table(checks: Sequence[Check]) -> str:
    """Return the checks for people, with advice below what needs it."""
    lines = []
    for check in checks:
        lines.append(f"{MARKS[check.status]:4}  {check.name:10} {check.found}")
        if check.advice:
            lines.append(f"{'':17}-> {check.advice}")
    return "\n".join(lines)


def models(settings: Settings) -> Check:
    """Load the pair, as the service would."""
    sizes = settings.size if settings.teacher_size is None else f"{settings.teacher_size} and {settings.size}"
    what = f"pair {settings.pair!r} at {sizes}"
    try:
        backend = open_backend(
            settings.models,
            settings.input_size,
            settings.device,
            pair=settings.pair,
            plans=settings.plans_dir,
            max_batch=settings.max_streams,
            teacher_size=settings.teacher_input_size,
        )
    except EngineError as error:
        return Check("models", "fail", what, str(error))
    modes = ", ".join(backend.modes)
    if settings.lane.mode not in backend.modes:
        return Check("models", "fail", f"{what} can do {modes}", f"no network for --mode {settings.lane.mode}")
    return Check("models", "ok", f"{what} on the {backend.device.kind}; modes: {modes}")


def port(settings: Settings) -> Check:
    """Whether the service can listen."""
    where = f"{settings.host}:{settings.port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with closing(socket.socket(family, kind, protocol)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return Check(
            "port", "warn", f"{where}: {error.strerror}", "if that is not the service itself: choose another --port"
        )
    return Check("port", "ok", f"{where} is free")


def state(settings: Settings) -> Check:
    """Whether what outlives a restart can be read and written."""
    path = settings.store_path
    if path is None:
        return Check("state", "ok", "with --demo nothing is kept")
    folder = _existing(path.parent)
    if not os.access(folder, os.W_OK | os.X_OK):
        return Check("state", "fail", f"{folder} cannot be written", "choose another --state-dir, or change its owner")
    if not path.exists():
        return Check("state", "ok", f"{path} will be made")
    if not os.access(path, os.R_OK | os.W_OK):
        return Check("state", "fail", f"{path} belongs to somebody else", "run as the user that owns it")
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        verdict = str(error)
    if verdict != "ok":
        return Check("state", "fail", f"{path}: {verdict}", "put a backup in its place; see docs/OPERATIONS.md")
    return Check("state", "ok", str(path))


def disk(settings: Settings) -> Check:
    """Space where the state is."""
    folder = _existing((settings.store_path or Path.cwd()).parent)
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:.1f} GB free in {folder}"
    if free < LITTLE_DISK:
        return Check("disk", "fail", found, "make room: changes cannot be kept otherwise")
    return Check("disk", "ok", found)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return folder if folder.exists() else _existing(folder.parent)
