"""The stages of `training.schedule`, as data: what is run, what comes out, and what has to be there first."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from training.recipe import Recipe, chain


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
    """Modules that are run after a training. Training knows none of them: whoever starts the schedule does."""

    export: str
    """Weights to a model file; the command line of `export.to_onnx`."""
    score: str
    """Model files to scores; the command line of `benchmarks.accuracy`."""


TEACHER = "yolo-teacher"
COMPARISONS = (
    Comparison("baselines", "yolo-student-only", "student-plain", ("teacher", "student", "naive")),
    Comparison("ifm", "yolo-atttrack-ifm", "student", ("atttrack", "no-update")),
    Comparison("none", "yolo-atttrack-none", "student", ("atttrack",)),
    Comparison("layerwise", "yolo-layerwise", "student-plain", ("naive",)),
)
"""In order of worth: whichever is the last that time allows, those before it are whole."""


def stages(
    programs: Programs, recipes: Path, size: str, periods: Sequence[str], only: Sequence[str] = ()
) -> list[Stage]:
    """Train, export and score the comparisons, or those named in `only`; periods: keyframe periods K.

    A recipe's `teacher` and `start` are trained before it. Raises ValueError, FileNotFoundError for broken recipes.
    """
    plan: dict[str, Stage] = {}
    for comparison in COMPARISONS:
        if only and comparison.name not in only:
            continue
        for name in (TEACHER, comparison.student):
            _train(recipes, name, plan)
        teacher = f"models/{COMPARISONS[0].name}/yolo-teacher-{size}.onnx"
        _add(plan, _export(programs, TEACHER, "teacher", teacher, size))  # the same each time
        student = f"models/{comparison.name}/yolo-{comparison.role}-{size}.onnx"
        _add(plan, _export(programs, comparison.student, comparison.role.removesuffix("-plain"), student, size))
        _add(plan, _score(programs, comparison, teacher, size, periods))
    return list(plan.values())


def _add(plan: dict[str, Stage], stage: Stage) -> None:
    plan.setdefault(stage.name, stage)


def _train(recipes: Path, name: str, plan: dict[str, Stage]) -> None:
    """The stages of a recipe and of those that it needs, in order."""
    for path in chain(recipes / f"{name}.toml"):
        recipe = Recipe.read(path)
        before = {"--teacher": recipe.teacher, "--start": recipe.start}
        command = ["training.train_student" if recipe.teacher else "training.train_plain", str(path)]
        command += ["--data", "{data}", "--out", f"{{out}}/{path.stem}", "--present"]
        for option, other in before.items():
            command += [option, f"{{out}}/{other}/weights.pt"] if other else []
        needs = tuple(other for other in before.values() if other)
        _add(plan, Stage(path.stem, tuple(command), f"{path.stem}/weights.pt", needs, recipe.steps))


def _export(programs: Programs, name: str, role: str, product: str, size: str) -> Stage:
    words = [programs.export, f"{{out}}/{name}/weights.pt", "--role", role, "--size", size]
    return Stage(f"export-{name}", (*words, "--output", f"{{out}}/{product}"), product, (name,))


def _score(programs: Programs, comparison: Comparison, teacher: str, size: str, periods: Sequence[str]) -> Stage:
    folder = f"models/{comparison.name}"
    words = [programs.score, "--data", "{data}/sequences", "--sequences", "{sequences}"]
    words += ["--modes", *comparison.modes, "--k", *periods, "--size", size, "--models", f"{{out}}/{folder}"]
    words += ["--output", "{out}/scores", "--name", f"score-{comparison.name}"]
    network = "plain" if comparison.role == "student-plain" else "student"
    words += ["--trained", f"teacher={{out}}/{TEACHER}", f"{network}={{out}}/{comparison.student}"]
    needs = f"export-{TEACHER}", f"export-{comparison.student}"
    links = {f"{folder}/{Path(teacher).name}": teacher}
    return Stage(f"score-{comparison.name}", tuple(words), f"scores/score-{comparison.name}.json", needs, 0, links)
