"""What a command may write: nothing that it reads, and nothing twice."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit


def check_outputs(source: str, outputs: Mapping[str, Path]) -> None:
    """Raise ValueError, before anything is opened, where an output is the source, part of it, or another output.

    Files are compared as the system tells them apart, so that no link and no other spelling of a name hides one.
    `outputs`: by the option that names each.
    """
    read = {key for path in _files_of(source) if (key := _identity(path)) is not None}
    seen: dict[object, str] = {}
    for option, path in outputs.items():
        key = _identity(path)
        if key is not None and key in read:
            raise ValueError(f"{option} {path} is the source, or part of it, and would be lost; name another file")
        if key is None and path.exists():
            continue  # a terminal or /dev/null may have anything
        place: object = key or path.resolve()
        if place in seen:
            raise ValueError(f"{seen[place]} and {option} are one file, {path}; name two")
        seen[place] = option


def _files_of(source: str) -> Iterator[Path]:
    """Every file that a source may read: of a sequence folder all that is in it."""
    scheme, _, rest = source.partition("://")
    if rest and scheme.lower() != "file":
        return
    path = Path(unquote(urlsplit(source).path)) if rest else Path(source)
    yield path
    if path.is_dir():
        for folder, _, names in os.walk(path):
            yield from (Path(folder, name) for name in names)


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode of what is a regular file, or a link to one; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if path.is_file() else None
