"""Holds the pinned packages against files of known weaknesses (OSV's format): no network is needed.

    python deploy/supply/audit.py requirements/run.txt [more.txt ...] [--advisories FILE_OR_FOLDER]

Exit code 1 where a pinned version is affected, 2 where a file cannot be read. Without --advisories it takes those
beside it, which are few. All that are known to PyPI are one archive, to be unpacked into a folder:
https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

HERE = Path(__file__).parent / "advisories.json"
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Finding:
    """A pinned package that has a known weakness."""

    package: str
    version: str
    advisory: str
    summary: str

    def __str__(self) -> str:
        return f"{self.package} {self.version}: {self.advisory}: {self.summary}"


def pinned(text: str) -> dict[str, str]:
    """Name -> version of a requirements file. Raises ValueError for one that pins nothing."""
    found = {canonicalize_name(name): version for name, version in PINNED.findall(text)}
    if not found:
        raise ValueError("pins no version")
    return found


def advisories(path: Path) -> Iterator[dict[str, Any]]:
    """All advisories of a file (one, or a list) or of a folder of files."""
    for file in sorted(path.rglob("*.json")) if path.is_dir() else [path]:
        content = json.loads(file.read_text())
        yield from content if isinstance(content, list) else [content]


def findings(packages: dict[str, str], known: Iterable[dict[str, Any]]) -> list[Finding]:
    """The weaknesses of these packages; those that were withdrawn are none."""
    return [
        Finding(name, packages[name], str(one["id"]), str(one.get("summary", "")))
        for one in known
        if "withdrawn" not in one
        for affected in one.get("affected", ())
        if affected["package"]["ecosystem"] == "PyPI"
        and (name := canonicalize_name(affected["package"]["name"])) in packages
        and is_affected(packages[name], affected)
    ]


def is_affected(version: str, affected: dict[str, Any]) -> bool:
    """Whether a version is listed, or lies in a range."""
    if version in affected.get("versions", ()):
        return True
    try:
        parsed = Version(version)
    except InvalidVersion:
        return False
    ranges = (one["events"] for one in affected.get("ranges", ()) if one["type"] == "ECOSYSTEM")
    return any(_lies_in(parsed, events) for events in ranges)


def _lies_in(version: Version, events: list[dict[str, str]]) -> bool:
    """Events in the order of versions: the last one at or before `version` decides."""
    inside = False
    for event in sorted(events, key=lambda one: _version(next(iter(one.values())))):
        (kind, text), *_ = event.items()
        if kind == "introduced" and version >= _version(text):
            inside = True
        elif (kind == "fixed" and version >= _version(text)) or (kind == "last_affected" and version > _version(text)):
            inside = False
    return inside


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("requirements", type=Path, nargs="+")
    parser.add_argument("--advisories", type=Path, default=HERE)
    options = parser.parse_args()
    try:
        known = list(advisories(options.advisories))
        packages = [(path, pinned(path.read_text())) for path in options.requirements]
    except (OSError, ValueError) as error:
        print(f"cannot be read: {error}", file=sys.stderr)
        return 2
    found = [(path, one) for path, pins in packages for one in findings(pins, known)]
    for path, one in found:
        print(f"{path}: {one}")
    print(f"{sum(len(pins) for _, pins in packages)} packages, {len(known)} advisories, {len(found)} weaknesses")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
