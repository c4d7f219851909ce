"""How accurate each mode is at each keyframe period, on sequences with known truth.

    atttrack bench accuracy --data ../shared/data/sequences --sequences MOT17-09 PETS09-S2L1 --k 2 4 6

Runs the pipeline that the service and `atttrack track` run. Every picture is decoded once and goes to all variants in
turn, each with a tracker that starts fresh at the first frame of its half. Besides the pipeline's modes there is
`predicted`: the teacher every K frames and the motion model between, see benchmarks.arms. Weights that were
not exported yet: benchmarks.score.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.arms import ARMS, COLOURS, Arm, Variant, has_period, mode_of, open_pipelines, track_sequence, variants
from benchmarks.command import command
from benchmarks.conditions import RESULTS, conditions, save
from benchmarks.metrics.retention import RetentionCounts, count_retention, sum_retention
from benchmarks.metrics.scores import POOLED, MotScores, compare, with_pooled
from benchmarks.once_per_picture import once_per_picture
from benchmarks.trained_run import TrainedRun
from edge.pipeline.backend import SHIPPED_MODELS, Backend, model_files, open_backend
from edge.pipeline.config import INPUT_SIZE, SHIPPED_PAIR, LaneSettings, parse_size
from edge.pipeline.modes import MODES
from edge.pipeline.pipeline import TrackedFrame, TrackingPipeline
from edge.sources.sequence import SequenceInfo, SequenceSource
from edge.tracking.mot_folders import sequence_folder, sequence_name
from edge.tracking.mot_format import MotBoxes, parse_mot, read_mot
from edge.tracking.tracker import TrackerSettings

HALVES = ("first", "second", "all")
ASSOCIATIONS: Mapping[str, TrackerSettings] = {
    "service": TrackerSettings(),
    "paper": TrackerSettings(weak_share=1, new_between_keyframes=True, iou_confirm=0, same_iou=1),
}
"""How people are associated between keyframes; on keyframes both are the same."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What one variant got in one sequence, or in several pooled."""

    mot: MotScores
    retention: RetentionCounts

    def as_record(self) -> dict[str, Any]:
        """Flat and short, for files."""
        ratio = self.retention.ratio
        return self.mot.as_record() | {"id_retention": None if ratio is None else round(ratio, 5)}


def half_range(length: int, half: str) -> tuple[int, int]:
    """First and last frame, from 1: FairMOT trains on 1..length//2 and tests on the rest."""
    middle = length // 2
    return {"first": (1, middle), "second": (middle + 1, length), "all": (1, length)}[half]


def open_half(folder: Path, half: str) -> tuple[SequenceSource, MotBoxes]:
    """The frames of a half, and the truth of the whole sequence. Raises SystemExit where there is none."""
    first, last = half_range(SequenceInfo.read(folder / "seqinfo.ini").length, half)
    source = SequenceSource(folder, first, last)
    if source.truth_path is None:
        raise SystemExit(f"{folder} has no gt.txt: nothing to compare with")
    return source, read_mot(source.truth_path)


def as_boxes(tracked: Sequence[TrackedFrame], first: int) -> MotBoxes:
    """All tracks in MOTChallenge's terms; the source's frame 0 is the sequence's `first`."""
    parts = [parse_mot([]), *(MotBoxes.from_tracks(first - 1 + t.frame.index, t.tracks) for t in tracked)]
    return MotBoxes(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(MotBoxes)))


def evaluate(
    folders: Sequence[Path], half: str, pipelines: Mapping[Variant, TrackingPipeline]
) -> dict[Variant, dict[str, Scores]]:
    """Scores of each variant: per sequence and pooled."""
    mot: dict[Variant, dict[str, MotScores]] = {variant: {} for variant in pipelines}
    retention: dict[Variant, dict[str, RetentionCounts]] = {variant: {} for variant in pipelines}
    for folder in folders:
        source, truth = open_half(folder, half)
        for variant, tracked in track_sequence(source, pipelines).items():
            boxes = as_boxes(tracked, source.first)
            mot[variant][sequence_name(folder)] = compare(truth, boxes, source.first, source.last)
            retention[variant][sequence_name(folder)] = count_retention(tracked)
    return {
        variant: {
            sequence: Scores(scores, retention[variant].get(sequence) or sum_retention(retention[variant].values()))
            for sequence, scores in with_pooled(mot[variant]).items()
        }
        for variant in pipelines
    }


def lines(scores: Mapping[Variant, Mapping[str, Scores]]) -> Iterator[str]:
    """The table, one block per sequence, pooled last."""
    for sequence in next(iter(scores.values())):
        yield f"\n{sequence:16}   MOTA   IDF1   HOTA     FP     FN  IDSW ids kept"
        for variant, by_sequence in scores.items():
            s, kept = by_sequence[sequence].mot, by_sequence[sequence].retention.ratio
            yield (
                f"{variant!s:16} {100 * s.mota:6.1f} {100 * s.idf1:6.1f} {100 * s.hota:6.1f} "
                f"{s.false_positives:6} {s.misses:6} {s.switches:5} "
                f"{'-' if kept is None else f'{100 * kept:.1f}':>8}"
            )


def draw(scores: Mapping[Variant, Mapping[str, Scores]], path: Path) -> None:
    """Pooled MOTA, IDF1 and retention of ids over K; single networks as level lines."""
    from benchmarks.figures import panels, write

    figure, ((*axes,),) = panels(1560, 504, 1, 3)
    for panel, name in zip(axes, ("mota", "idf1", "id_retention"), strict=True):
        for mode in dict.fromkeys(variant.mode for variant in scores):
            records = [(v.k, s[POOLED].as_record()[name]) for v, s in scores.items() if v.mode == mode]
            points = [(k, 100 * value) for k, value in records if value is not None]
            if not has_period(mode) and points and name != "id_retention":
                panel.axhline(points[0][1], color=COLOURS[mode], linestyle="--", label=mode)
            elif has_period(mode) and points:
                panel.plot(*zip(*points, strict=True), "o-", color=COLOURS[mode], label=mode)
        panel.set(xlabel="keyframe period K", ylabel=f"{name.upper().replace('_', ' ')}, %")
        panel.grid(alpha=0.3)
        panel.set_xticks(sorted({v.k for v in scores if v.k is not None}))
    axes[0].legend()
    write(figure, path)


def rows(scores: Mapping[Variant, Mapping[str, Scores]]) -> Iterator[dict[str, Any]]:
    """One record per variant and sequence."""
    for variant, by_sequence in scores.items():
        for sequence, values in by_sequence.items():
            yield {"mode": variant.mode, "k": variant.k, "sequence": sequence} | values.as_record()


def add_options(parser: argparse.ArgumentParser, association: str) -> None:
    """What to score and where to keep it, but for the networks. association: the default, of ASSOCIATIONS."""
    parser.add_argument("--half", choices=HALVES, default="second", help="which frames; the first half is for training")
    parser.add_argument("--k", nargs="+", type=int, default=range(2, 13), help="keyframe periods (default 2 to 12)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where networks run")
    parser.add_argument("--threshold", type=float, default=LaneSettings().threshold, help="score to exceed")
    about = "as in service, or the paper's: no weak detections, and new people between keyframes, too"
    parser.add_argument(
        "--association", choices=ASSOCIATIONS, default=association, help=f"{about} (default {association})"
    )
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for the result and its plot")


def score(
    options: argparse.Namespace,
    folders: Sequence[Path],
    backend: Backend,
    modes: Sequence[Arm],
    about: Mapping[str, Any],
) -> Path:
    """Run, print, save as `options.name`; `about` goes into the result. Returns the result's path."""
    lane, tracker = LaneSettings(threshold=options.threshold), ASSOCIATIONS[options.association]
    pipelines = open_pipelines(variants(modes, options.k), once_per_picture(backend), lane, tracker)
    scores = evaluate(folders, options.half, pipelines)
    print("\n".join(lines(scores)))
    result = dict(about) | {"half": options.half, "threshold": options.threshold, "association": options.association}
    result["networks"] = networks(backend)
    path = save(options.name, result | {"rows": list(rows(scores))}, options.output)
    draw(scores, path.with_suffix(".png"))
    print(f"\nsaved {path} and its plot")
    return path


def networks(backend: Backend) -> dict[str, dict[str, str]]:
    """What each network says of itself, as far as it matters to who reads the scores."""
    return {
        name: {"network": s.network, "mapping": s.mapping, "commit": s.commit}
        for name, s in ((name, engine.signature) for name, engine in backend.engines.items())
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Score the networks of a folder of model files."""
    parser = command("accuracy", __doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of sequence folders")
    parser.add_argument("--sequences", nargs="+", default=["MOT17-09", "PETS09-S2L1"], help="which")
    parser.add_argument("--modes", nargs="+", choices=ARMS, default=ARMS, help="which")
    parser.add_argument("--models", type=Path, default=SHIPPED_MODELS, metavar="DIR", help="folder of the model files")
    parser.add_argument("--pair", default=SHIPPED_PAIR, help="name of the model pair (default %(default)s)")
    parser.add_argument(
        "--size", type=parse_size, default=INPUT_SIZE, metavar="WxH", help="network input (default 576x320)"
    )
    parser.add_argument("--name", default="accuracy", help="of the result's files")
    parser.add_argument(
        "--trained", nargs="+", default=(), metavar="NETWORK=RUN", help="whose weights were exported (default none)"
    )
    add_options(parser, "service")
    options = parser.parse_args(arguments)

    most = max(map(mode_of, options.modes), key=lambda mode: len(MODES[mode].networks))
    backend = open_backend(options.models, options.size, options.device, most, options.pair)
    runs = [named.partition("=") for named in options.trained]
    trained = {network: TrainedRun.find(Path(run)).as_record() for network, _, run in runs}
    size = f"{options.size[0]}x{options.size[1]}"
    about = {"conditions": conditions(model_files(options.models, options.pair, options.size), backend), "input": size}
    about |= {"trained": trained} if trained else {}
    score(options, [sequence_folder(options.data, name) for name in options.sequences], backend, options.modes, about)


if __name__ == "__main__":
    main()
