"""The whole training by one command that can be killed and started again: train, export and score, stage after stage.

Started by `python -m benchmarks.gpu.train`, which knows the programs that export and score.

Each stage is a command of its own. One that is done is not run again; one that was killed goes
on where it was. A stage that fails costs those that need it and no other. OUT/stages.json says how far it is.
"""

import argparse
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.tracking.mot_folders import data_folder, sequence_folder
from engines.files import whole
from engines.signature import file_name
from training.recipe import Recipe, chain

ROOT = Path(__file__).resolve().parent.parent
RECIPES = ROOT / "training" / "recipes" / "gpu"
PROBE_STEPS = 40


@dataclass(frozen=True, slots=True)
class Stage:
    """One command. {data}, {out} and {sequences} in its words are filled in when it runs."""

    name: str
    command: tuple[str, ...]
    """Module and arguments."""
    product: str
    """File below OUT that it leaves."""
    needs: tuple[str, ...] = ()
    """Stages before it."""
    steps: int = 0
    """Of a training."""
    links: dict[str, str] = field(default_factory=dict)
    """Files below OUT that it wants under another name, too: name to file."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Networks that are exported and scored together."""

    name: str
    student: str
    """Recipe of the light network."""
    role: str
    """student (with prior) or student-plain."""
    modes: tuple[str, ...]
    """Of the pipeline, to be scored."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Modules that are run after a training. Training knows none of them: whoever starts the stages does."""

    export: str
    """Weights to a model file; the command line of `export.to_onnx`."""
    score: str
    """Model files to scores; the command line of `benchmarks.accuracy`."""


PAIR = "yolo"
TEACHER = f"{PAIR}-teacher"
COMPARISONS = (
    Comparison("baselines", "yolo-student-only", "student-plain", ("teacher", "student", "naive")),
    Comparison("ifm", "yolo-atttrack-ifm", "student", ("atttrack", "no-update")),
    Comparison("none", "yolo-atttrack-none", "student", ("atttrack",)),
    Comparison("layerwise", "yolo-layerwise", "student-plain", ("naive",)),
)
"""In order of worth: whichever is the last that time allows, those before it are whole."""


def all_stages(
    programs: Programs, recipes: Path, size: str, periods: Sequence[str], only: Sequence[str] = ()
) -> list[Stage]:
    """Train, export and score the comparisons, or those named in `only`; periods: keyframe periods K.

    A recipe's `teacher` and `start` are trained before it. Raises ValueError, FileNotFoundError for broken recipes.
    """
    found: dict[str, Stage] = {}
    for comparison in COMPARISONS:
        if only and comparison.name not in only:
            continue
        for name in (TEACHER, comparison.student):
            _train(recipes, name, found)
        teacher = f"models/{COMPARISONS[0].name}/{file_name(PAIR, 'teacher', size)}"
        _add(found, _export(programs, TEACHER, "teacher", teacher, size))  # the same each time
        student = f"models/{comparison.name}/{file_name(PAIR, comparison.role, size)}"
        _add(found, _export(programs, comparison.student, comparison.role.removesuffix("-plain"), student, size))
        _add(found, _score(programs, comparison, teacher, size, periods))
    return list(found.values())


def _add(found: dict[str, Stage], stage: Stage) -> None:
    found.setdefault(stage.name, stage)


def _train(recipes: Path, name: str, found: dict[str, Stage]) -> None:
    """The stages of a recipe and of those that it needs, in order."""
    for path in chain(recipes / f"{name}.toml"):
        recipe = Recipe.read(path)
        before = {"--teacher": recipe.teacher, "--start": recipe.start}
        command = ["training.train_student" if recipe.teacher else "training.train_plain", str(path)]
        command += ["--data", "{data}", "--out", f"{{out}}/{path.stem}", "--present"]
        for option, other in before.items():
            command += [option, f"{{out}}/{other}/weights.pt"] if other else []
        needs = tuple(other for other in before.values() if other)
        _add(found, Stage(path.stem, tuple(command), f"{path.stem}/weights.pt", needs, recipe.steps))


def _export(programs: Programs, name: str, role: str, product: str, size: str) -> Stage:
    words = [programs.export, f"{{out}}/{name}/weights.pt", "--role", role, "--size", size, "--fixed"]
    return Stage(f"export-{name}", (*words, "--output", f"{{out}}/{product}"), product, (name,))


def _score(programs: Programs, comparison: Comparison, teacher: str, size: str, periods: Sequence[str]) -> Stage:
    folder = f"models/{comparison.name}"
    words = [programs.score, "--pair", PAIR, "--data", "{data}/sequences", "--sequences", "{sequences}"]
    words += ["--modes", *comparison.modes, "--k", *periods, "--size", size, "--models", f"{{out}}/{folder}"]
    words += ["--output", "{out}/scores", "--name", f"score-{comparison.name}"]
    network = "plain" if comparison.role == "student-plain" else "student"
    words += ["--trained", f"teacher={{out}}/{TEACHER}", f"{network}={{out}}/{comparison.student}"]
    needs = f"export-{TEACHER}", f"export-{comparison.student}"
    links = {f"{folder}/{Path(teacher).name}": teacher}
    return Stage(f"score-{comparison.name}", tuple(words), f"scores/score-{comparison.name}.json", needs, 0, links)


def run(programs: Programs, args: argparse.Namespace) -> int:
    """Run what is still to be done; 1 where a stage failed. args: those of `add_options`."""
    stages = all_stages(programs, args.recipes.resolve(), args.size, args.k, args.only)
    if args.list:
        for stage in stages:
            print(f"{stage.name:28} {stage.product:50} {' '.join(stage.command)}")
        return 0
    work = Work(args)
    for stage in stages:
        work.run(stage)
    failed = [stage.name for stage in stages if work.record[stage.name]["status"] != "done"]
    print(
        f"{len(stages) - len(failed)} of {len(stages)} stages done" + (f"; not: {', '.join(failed)}" if failed else "")
    )
    return int(bool(failed))


class Work:
    """How far it is, and what the commands need to know of this machine."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.out: Path = args.output.resolve()
        self.out.mkdir(parents=True, exist_ok=True)
        self._args = args
        data: Path = args.data.resolve()
        self._environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
        names = Recipe.read(args.recipes / f"{TEACHER}.toml").sequences
        sequences = [name for name in names if sequence_folder(data / "sequences", name).is_dir()]
        self._words = {"{data}": [str(data)], "{out}": [str(self.out)], "{sequences}": sequences}
        self._file = self.out / "stages.json"
        self.record: dict[str, dict[str, Any]] = json.loads(self._file.read_text()) if self._file.exists() else {}

    def run(self, stage: Stage) -> None:
        """Run a stage unless it is done or lacks something, and note what came of it."""
        entry = self.record.get(stage.name, {})
        if entry.get("status") == "done" and (self.out / stage.product).exists():
            print(f"{stage.name:28} done before", flush=True)
            return
        lacking = [name for name in stage.needs if self.record.get(name, {}).get("status") != "done"]
        if lacking:
            self._note(stage, entry | {"status": f"lacks {', '.join(lacking)}"})
            return
        self._link(stage)
        words = self._fill(stage.command)
        if self._args.device and stage.command[0].startswith("training."):
            words += ["--device", self._args.device]
        if stage.steps:
            if self._args.minutes and "share" not in entry:
                code, share = self._share(stage, words)
                if code:
                    self._note(stage, entry | {"status": f"failed with exit code {code}"})
                    return
                entry["share"] = share
                self._note(stage, entry | {"status": "measured"})
            words += ["--share", str(entry["share"])] if "share" in entry else []
        began_s = time.monotonic()
        code = self._command(words, stage.steps > 0)
        made = (self.out / stage.product).exists()
        status = "done" if code == 0 and made else f"failed with exit code {code}"
        seconds = entry.get("seconds", 0) + time.monotonic() - began_s
        self._note(stage, entry | {"status": status, "seconds": round(seconds, 1)})

    def _share(self, stage: Stage, words: list[str]) -> tuple[int, float]:
        """Exit code of a training's first few steps, and the share of all that its minutes allow; 1 at most."""
        folder = self.out / f"{stage.name}-measured"
        probe = [*words, "--steps", str(min(PROBE_STEPS, stage.steps))]
        probe[probe.index("--out") + 1] = str(folder)
        shutil.rmtree(folder, ignore_errors=True)
        if code := self._command(probe, training=True):
            return code, 0.0
        facts = json.loads((folder / "facts.json").read_text())
        shutil.rmtree(folder)
        allowed: float = self._args.minutes * 60 * facts["step"] / facts["seconds"]
        return 0, min(1.0, round(allowed / stage.steps, 4))

    def _fill(self, command: tuple[str, ...]) -> list[str]:
        words: list[str] = []
        for word in command:
            if word == "{sequences}":
                words += self._words[word]
            else:
                for name in ("{data}", "{out}"):
                    word = word.replace(name, self._words[name][0])
                words.append(word)
        return words

    def _command(self, words: list[str], training: bool) -> int:
        """Run a module in a process that ends with this one; its exit code."""
        several = in_processes(self._args.processes) if training and self._args.processes > 1 else []
        command = [sys.executable, "-m", *several, *words]
        print(" ".join(command), flush=True)
        return subprocess.run(command, cwd=ROOT, env=self._environment, check=False, preexec_fn=_die_with()).returncode  # noqa: S603

    def _link(self, stage: Stage) -> None:
        for name, file in stage.links.items():
            target = self.out / name
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(self.out / file, target)

    def _note(self, stage: Stage, entry: dict[str, Any]) -> None:
        self.record[stage.name] = entry
        with whole(self._file) as partial:
            partial.write_text(json.dumps(self.record, indent=1) + "\n")
        print(f"{stage.name:28} {entry['status']:20} {entry.get('seconds', 0):8.1f} s", flush=True)


def in_processes(count: int) -> list[str]:
    """What stands between `python -m` and a training, for so many processes of it."""
    # Without --, the launcher takes the training's --start for the beginning of its own --start-method, and refuses.
    return ["torch.distributed.run", "--standalone", "--nproc-per-node", str(count), "-m", "--"]


def _die_with() -> Callable[[], object] | None:
    """For a child on Linux: be killed when the parent is, so that stages begun anew find nobody at work."""
    if sys.platform != "linux":
        return None
    library, death = ctypes.CDLL(None), 1  # PR_SET_PDEATHSIG
    return lambda: library.prctl(death, signal.SIGKILL)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of `run`."""
    parser.add_argument(
        "--data", type=data_folder, required=True, metavar="DIR", help="folder with sequences/ and images/"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("runs/gpu-train"), metavar="DIR", help="default %(default)s"
    )
    parser.add_argument("--out", type=Path, dest="output", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    parser.add_argument("--recipes", type=Path, default=RECIPES, metavar="DIR", help="default: training/recipes/gpu")
    parser.add_argument("--size", default="1088x608", metavar="WxH", help="of the exported networks' input")
    parser.add_argument("--k", nargs="+", default=["2", "4", "6"], help="keyframe periods to score (default 2 4 6)")
    parser.add_argument(
        "--minutes",
        type=float,
        metavar="M",
        help="time to train each network in; fewer steps if need be (default: no limit)",
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: the GPU where there is one")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="train on N GPUs (or in N processes)")
    names = [comparison.name for comparison in COMPARISONS]
    parser.add_argument("--only", nargs="+", choices=names, default=[], help="comparisons to train for (default all)")
    parser.add_argument("--list", action="store_true", help="show the stages and run nothing")
