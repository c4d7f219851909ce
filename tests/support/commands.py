"""The shell commands that a Markdown page has: in its blocks, and between backquotes in its text."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FIRST_WORDS = {"make", "atttrack", "python", "python3", ".venv/bin/python", "pip", "docker", "curl", "source", "touch"}
FIRST_WORDS |= {"umask", "nsys", "ncu", "compute-sanitizer", "trtexec", "torchrun", "tensorboard"}
"""A line or a span that begins with one of these, after assignments, is a command."""
_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- (not )?in tests: (.+?) -->\s*$")
_ASSIGNMENT = re.compile(r"[A-Z_]+=")


@dataclass(frozen=True)
class Block:
    """A fenced piece of a page."""

    language: str
    text: str
    line: int
    skipped: str | None
    """Why it does not run in tests; None: it does."""


def blocks(path: Path) -> list[Block]:
    """All fenced pieces, in order; a comment above, `<!-- not in tests: WHY -->`, keeps one from running."""
    page = path.read_text()
    found = []
    for fence in _FENCE.finditer(page):
        mark = _MARK.search(page[: fence.start()].rpartition("\n\n")[2])
        indent = re.match(r" *", fence[2])[0]  # type: ignore[index]
        text = re.sub(rf"^{indent}", "", fence[2], flags=re.MULTILINE)
        skipped = mark[2] if mark and mark[1] else None
        found.append(Block(fence[1], text, page.count("\n", 0, fence.start()) + 1, skipped))
    return found


def spans(path: Path) -> list[str]:
    """What stands between backquotes in the text outside of blocks, and is a command with something behind it."""
    text = re.sub(r"\s+", " ", _FENCE.sub("", path.read_text()))
    return [span for span in dict.fromkeys(re.findall(r"`([^`]+)`", text)) if is_command(span) and " " in span]


def is_command(text: str) -> bool:
    """Whether a line is typed into a shell."""
    words = text.split()
    while words and _ASSIGNMENT.match(words[0]):
        words = words[1:]
    return bool(words) and words[0] in FIRST_WORDS


def commands(script: str) -> Iterator[list[str]]:
    """The words of each command; continued lines are joined, comments and assignments in front left out."""
    for line in script.replace("\\\n", " ").splitlines():
        for part in re.split(r"; |&& |\| ", line):
            words = shlex.split(part, comments=True)
            while words and _ASSIGNMENT.match(words[0]):
                words = words[1:]
            if words:
                yield words
