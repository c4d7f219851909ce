"""Reads a Dockerfile as far as this project's goes: stages, and the instructions of a target from its base on."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Instruction:
    """One line of a Dockerfile, continuations joined."""

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """Arguments, in either form, without options such as --from."""
        parts = json.loads(self.text) if self.text.startswith("[") else shlex.split(self.text)
        return [part for part in parts if not part.startswith("--")]

    @property
    def source_stage(self) -> str | None:
        """Of COPY --from=STAGE."""
        found = re.search(r"--from=(\S+)", self.text)
        return found and found[1]


@dataclass
class Stage:
    """FROM, and what follows it."""

    name: str
    base: str
    instructions: list[Instruction] = field(default_factory=list)


class Dockerfile:
    """The stages by name; `${ARG}` in FROM is replaced by its default."""

    def __init__(self, path: Path = ROOT / "Dockerfile") -> None:
        self.stages: dict[str, Stage] = {}
        arguments: dict[str, str] = {}
        stage: Stage | None = None
        for one in _instructions(path.read_text()):
            if one.name == "FROM":
                base, _, name = one.words
                for argument, value in arguments.items():
                    base = base.replace(f"${{{argument}}}", value)
                stage = self.stages[name] = Stage(name, base)
            elif stage is None:
                argument, _, value = one.text.partition("=")
                arguments[argument] = value
            else:
                stage.instructions.append(one)

    def lineage(self, target: str) -> list[Stage]:
        """The stages that `target` is built from, the first one first."""
        stage = self.stages[target]
        return [*(self.lineage(stage.base) if stage.base in self.stages else []), stage]

    def instructions(self, target: str) -> list[Instruction]:
        """What makes `target`, in order."""
        return [one for stage in self.lineage(target) for one in stage.instructions]

    def last(self, target: str, name: str) -> Instruction | None:
        """The instruction that counts where only the last one does, such as USER or CMD."""
        found = [one for one in self.instructions(target) if one.name == name]
        return found[-1] if found else None

    def environment(self, target: str) -> dict[str, str]:
        """ENV of a target."""
        pairs = (word.partition("=") for one in self.instructions(target) if one.name == "ENV" for word in one.words)
        return {name: value for name, _, value in pairs}


def _instructions(text: str) -> Iterator[Instruction]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield Instruction(name, rest.strip())


def let_through(path: str) -> bool:
    """Whether .dockerignore lets a path into the build: the last pattern that matches it or a folder above wins."""
    passes = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!").removeprefix("**/")
        parts = path.split("/")
        above = ["/".join(parts[: n + 1]) for n in range(len(parts))]
        if any(fnmatch(one, pattern) for one in (*above, *(parts if line.startswith("**/") else ()))):
            passes = line.startswith("!")
    return passes
