"""Students: the files of one stream's students that learnt, and which of them is in force. No pictures."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from engines.files import whole
from service.adaptation.training import STUDENT, WEIGHTS, Predecessor

STANDING = "standing.json"


@dataclass(frozen=True, slots=True)
class Standing:
    """Students by number: 0 is the pair's own, others are the rounds that they learnt in."""

    current: int = 0
    before: int | None = None
    """Which was in force before the last change-over; None: there was none."""
    rounds: int = 0


class Students:
    """One thread at a time."""

    def __init__(self, folder: Path) -> None:
        """`folder`: of this stream alone; made when there is something to put there."""
        self._folder = folder

    def read(self) -> Standing:
        """What was written last, by whichever process; the beginning where it cannot be read."""
        try:
            standing = Standing(**json.loads((self._folder / STANDING).read_text()))
            wanted = {standing.current, standing.before} - {0, None}
            if all((self.path(one)).is_file() for one in wanted if one):
                return standing
        except (OSError, ValueError, TypeError):
            pass
        return Standing()

    def write(self, standing: Standing) -> None:
        """Keep it, and no other students than it names."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with whole(self._folder / STANDING) as partial:
            partial.write_text(json.dumps(asdict(standing)))
        named = {f"{one}{suffix}" for one in (standing.current, standing.before) if one for suffix in (".onnx", ".pt")}
        for file in self._folder.iterdir():
            if file.suffix in (".onnx", ".pt") and file.name not in named:
                file.unlink()

    def add(self, number: int, folder: Path) -> None:
        """Take over what a round has left."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, path in ((STUDENT, self.path(number)), (WEIGHTS, self.path(number).with_suffix(".pt"))):
            with whole(path) as partial:
                shutil.copyfile(folder / name, partial)

    def path(self, number: int) -> Path:
        """Of a student's model file."""
        return self._folder / f"{number}.onnx"

    def predecessor(self, number: int) -> Predecessor | None:
        """What a round begins with; None: the pair's own."""
        return Predecessor(self.path(number), self.path(number).with_suffix(".pt")) if number else None

    def forget(self) -> None:
        """Delete them all."""
        shutil.rmtree(self._folder, ignore_errors=True)
