"""From a recipe, or the weights of a training run, to MOTA, IDF1 and HOTA, through the pipeline that is deployed.

    atttrack bench score training/recipes/paper/mot17/yolo-atttrack-efm.toml --data DATA --k 2 4 6
    atttrack bench score runs/yolo-student --teacher runs/yolo-teacher --plain runs/yolo-small --data DATA

A recipe is trained first, with the teacher and the start that it names, as far as that was not done. Then the networks
are exported to ONNX, and run over the test halves like any others: benchmarks.accuracy does the rest. The result,
benchmarks/results/score-NAME.json, can stand beside the paper's rows: name it in benchmarks/paper/rows.csv.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.accuracy import add_options, score
from benchmarks.arms import ARMS
from benchmarks.command import add_device, command, one_line
from benchmarks.conditions import ROOT, conditions
from benchmarks.trained_run import ScoreError, TrainedRun, export, train
from edge.pipeline.backend import FILE_ROLES, Backend, open_backend
from edge.pipeline.config import Mode, parse_size
from edge.pipeline.modes import NetworkName
from edge.tracking.mot_folders import data_folder, sequence_folder, sequences_folder
from engines.signature import file_name, size_name

MAPPINGS = ("none", "ifm", "efm")
SEQUENCES = {
    "MOT17": ("MOT17-02", "MOT17-04", "MOT17-05", "MOT17-09", "MOT17-10", "MOT17-11", "MOT17-13"),
    "MOT15": (
        *("ADL-Rundle-6", "ADL-Rundle-8", "ETH-Bahnhof", "ETH-Pedcross2", "ETH-Sunnyday", "KITTI-13", "KITTI-17"),
        *("PETS09-S2L1", "TUD-Campus", "TUD-Stadtmitte", "Venice-2"),
    ),
}
"""The benchmarks' training sequences, whose second halves the paper tests on."""


@one_line("score")
def main(arguments: Sequence[str] | None = None) -> int:
    """Train what is missing, export, score."""
    options = _parser().parse_args(arguments)
    with ExitStack() as stack:
        folder: Path = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="score-")))
        run(options, folder)
    return 0


def run(options: argparse.Namespace, folder: Path) -> None:
    """Score one subject; the model files go to `folder`."""
    sequences = present(sequences_folder(options.data), options.sequences)
    subject, teacher, plain = (find(path, options) for path in (options.subject, options.teacher, options.plain))
    assert subject is not None, "argparse wants a subject"  # noqa: S101
    size, pivot = options.size or subject.size, wants_pivot(subject, options.mapping)
    folder.mkdir(parents=True, exist_ok=True)
    exported = folder / "subject.onnx"
    signature = export(subject, "student", size, pivot, exported)
    networks = networks_of(subject, signature.prior, teacher, plain)
    files = {name: folder / file_name(signature.pair, FILE_ROLES[name], size_name(size)) for name in networks}
    for name, trained in networks.items():
        if trained is subject:
            exported.rename(files[name])
        else:
            export(trained, "teacher" if name == "teacher" else "student", size, pivot, files[name])
    mode: Mode = "student" if "teacher" not in networks else "atttrack" if "student" in networks else "naive"
    found = open_backend(folder, size, options.device, mode, signature.pair)
    ours = {name: engine for name, engine in found.engines.items() if name in networks}
    backend = Backend(found.device, found.ops, **ours)  # a kept folder may hold an earlier subject's files, too
    about = {
        "conditions": conditions(files.values(), backend),
        "input": size_name(size),
        "trained": {name: trained.as_record() for name, trained in networks.items()},
    }
    options.name = options.name or default_name(subject, options.mapping)
    score(options, sequences, backend, options.modes or backend.modes, about)


def find(path: Path | None, options: argparse.Namespace) -> TrainedRun | None:
    """The run behind a path; of a recipe, once it is trained."""
    if path is None:
        return None
    if path.suffix == ".toml":
        path = train(path, options.data, options.runs or ROOT / "runs" / path.resolve().parent.name)
    return TrainedRun.find(path)


def present(folder: Path, names: Sequence[str] | None) -> list[Path]:
    """The sequences asked for, or all of the paper's that are there. Raises ScoreError where that is none."""
    wanted = names or dict.fromkeys(name for dataset in SEQUENCES.values() for name in dataset)
    folders = {name: sequence_folder(folder, name) for name in wanted}
    missing = [name for name, path in folders.items() if not (path / "seqinfo.ini").is_file()]
    if names and missing:
        raise ScoreError(f"{folder} has no sequences {', '.join(missing)}")
    found = [path for name, path in folders.items() if name not in missing]
    if not found:
        raise ScoreError(f"{folder} has none of the paper's sequences, such as MOT17-09")
    return found


def networks_of(
    subject: TrainedRun, has_prior: bool, teacher: TrainedRun | None, plain: TrainedRun | None
) -> dict[NetworkName, TrainedRun]:
    """The runs behind a pair's networks; the teacher, unless given, is the one that the subject's recipe names.

    A subject with prior is the student, any other the plain one. Raises ScoreError for a pair that cannot be.
    """
    if teacher is None and (name := subject.setting("teacher")):
        teacher = TrainedRun.find(subject.neighbour(name))
    if has_prior and teacher is None:
        raise ScoreError(f"{subject.name} takes a teacher's heatmap; say which with --teacher RUN")
    if plain is not None and not has_prior:
        raise ScoreError(f"{subject.name} is a plain student itself; leave --plain out")
    found: dict[NetworkName, TrainedRun] = {} if teacher is None else {"teacher": teacher}
    found["student" if has_prior else "plain"] = subject
    if plain is not None:
        found["plain"] = plain
    return found


def wants_pivot(subject: TrainedRun, mapping: str | None) -> bool:
    """Whether to export with pivot features. Raises ScoreError where training had another mapping than asked for."""
    trained = subject.setting("mapping", "none")
    if mapping not in (None, "efm", trained):
        raise ScoreError(f"{subject.name} was trained with mapping {trained!r}, not {mapping!r}; leave --mapping out")
    return (mapping or trained) == "efm"


def default_name(subject: TrainedRun, mapping: str | None) -> str:
    """score-mot17-yolo-teacher, score-yolo-student-efm and the like."""
    parts = [part for part in subject.name.split("/") if part not in ("runs", "weights")]
    return "-".join(["score", *parts, *([mapping] if mapping and not parts[-1].endswith(mapping) else [])])


def _parser() -> argparse.ArgumentParser:
    parser = command("score", __doc__)
    parser.add_argument("subject", type=Path, help="recipe (.toml), folder of a run, or file of weights")
    parser.add_argument("--data", type=data_folder, required=True, help="folder with sequences/, and images/ to train")
    parser.add_argument("--teacher", type=Path, metavar="RUN", help="likewise; default: the one that the recipe names")
    parser.add_argument("--plain", type=Path, metavar="RUN", help="likewise, without prior; for naive (default: none)")
    parser.add_argument("--mapping", choices=MAPPINGS, help="of features; default as trained. efm exports pivots")
    parser.add_argument("--sequences", nargs="+", help="default: those of MOT17 and MOT15 that are there")
    parser.add_argument("--modes", nargs="+", choices=ARMS, help="default: all that these networks allow")
    parser.add_argument("--size", type=parse_size, metavar="WxH", help="default: as trained")
    parser.add_argument("--runs", type=Path, help="where recipes are trained (default runs/ and the recipe's folder)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the model files here (default: nowhere)")
    parser.add_argument("--name", help="of the result's file (default score- and the run's name)")
    add_device(parser)
    add_options(parser, "paper")
    return parser


if __name__ == "__main__":
    sys.exit(main())
