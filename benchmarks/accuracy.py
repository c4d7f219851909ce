"""How accurate each mode is at each keyframe period, on sequences with known truth.

    atttrack bench accuracy --data ../shared/data --sequences MOT17-09 PETS09-S2L1 --k 2 4 6

Runs the pipeline that the service and `atttrack track` run. Every picture is decoded once and goes to all variants in
turn, each with a tracker that starts fresh at the first frame of its half. Besides the pipeline's modes there is
`predicted`: the teacher every K frames and the motion model between, see benchmarks.arms. Weights that were
not exported yet: benchmarks.score.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.arms import ARMS, Arm, Variant, mode_of, open_pipelines, track_sequence, variants
from benchmarks.command import about, add_networks, command, networks, one_line, open_networks
from benchmarks.conditions import RESULTS, save
from benchmarks.once_per_picture import once_per_picture
from benchmarks.scores import MotScores, compare, with_pooled
from benchmarks.trained_run import TrainedRun
from edge.pipeline.backend import Backend
from edge.pipeline.config import LaneSettings
from edge.pipeline.modes import MODES
from edge.pipeline.pipeline import TrackedFrame, TrackingPipeline
from edge.sources.sequence import SequenceInfo, SequenceSource
from edge.tracking.mot_folders import sequence_folder, sequence_name, sequences_folder
from edge.tracking.mot_format import MotBoxes, parse_mot, read_mot
from edge.tracking.tracker import TrackerSettings

HALVES = ("first", "second", "all")
ASSOCIATIONS: Mapping[str, TrackerSettings] = {
    "service": TrackerSettings(),
    "paper": TrackerSettings(weak_share=1, keyframes_decide=False, iou_confirm=0, same_iou=1),
}
"""How people are associated between keyframes; on keyframes both are the same."""


def half_range(length: int, half: str) -> tuple[int, int]:
    """First and last frame, from 1: FairMOT trains on 1..length//2 and tests on the rest."""
    middle = length // 2
    return {"first": (1, middle), "second": (middle + 1, length), "all": (1, length)}[half]


def open_half(folder: Path, half: str) -> tuple[SequenceSource, MotBoxes]:
    """The frames of a half, and the truth of the whole sequence. Raises ValueError where there is none."""
    first, last = half_range(SequenceInfo.read(folder / "seqinfo.ini").length, half)
    source = SequenceSource(folder, first, last)
    if source.truth_path is None:
        raise ValueError(f"{folder} has no gt.txt: nothing to compare with")
    return source, read_mot(source.truth_path)


def as_boxes(tracked: Sequence[TrackedFrame], first: int) -> MotBoxes:
    """All tracks in MOTChallenge's terms; the source's frame 0 is the sequence's `first`."""
    parts = [parse_mot([]), *(MotBoxes.from_tracks(first - 1 + t.frame.index, t.tracks) for t in tracked)]
    return MotBoxes(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(MotBoxes)))


def evaluate(
    folders: Sequence[Path], half: str, pipelines: Mapping[Variant, TrackingPipeline]
) -> dict[Variant, dict[str, MotScores]]:
    """Scores of each variant: per sequence and pooled."""
    scores: dict[Variant, dict[str, MotScores]] = {variant: {} for variant in pipelines}
    for folder in folders:
        source, truth = open_half(folder, half)
        for variant, tracked in track_sequence(source, pipelines).items():
            found = compare(truth, as_boxes(tracked, source.first), source.first, source.last)
            scores[variant][sequence_name(folder)] = found
    return {variant: with_pooled(of_variant) for variant, of_variant in scores.items()}


def lines(scores: Mapping[Variant, Mapping[str, MotScores]]) -> Iterator[str]:
    """The table, one block per sequence, pooled last."""
    for sequence in next(iter(scores.values())):
        yield f"\n{sequence:16}   MOTA   IDF1   HOTA     FP     FN  IDSW"
        for variant, by_sequence in scores.items():
            s = by_sequence[sequence]
            ratios = f"{100 * s.mota:6.1f} {100 * s.idf1:6.1f} {100 * s.hota:6.1f}"
            yield f"{variant!s:16} {ratios} {s.false_positives:6} {s.misses:6} {s.switches:5}"


def rows(scores: Mapping[Variant, Mapping[str, MotScores]]) -> Iterator[dict[str, Any]]:
    """One record per variant and sequence."""
    for variant, by_sequence in scores.items():
        for sequence, values in by_sequence.items():
            yield {"mode": variant.mode, "k": variant.k, "sequence": sequence} | values.as_record()


def add_options(parser: argparse.ArgumentParser, association: str) -> None:
    """What to score and where to keep it, but for the networks. association: the default, of ASSOCIATIONS."""
    parser.add_argument("--half", choices=HALVES, default="second", help="which frames; the first half is for training")
    parser.add_argument("--threshold", type=float, default=LaneSettings().threshold, help="score to exceed")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="DIR", help="folder for the result")
    parser.add_argument("--k", nargs="+", type=int, default=range(2, 13), help="keyframe periods (default 2 to 12)")
    about = "as in service, or the paper's: no weak detections, and new people between keyframes, too"
    parser.add_argument("--association", choices=ASSOCIATIONS, default=association, help=about)


def score(
    options: argparse.Namespace,
    folders: Sequence[Path],
    backend: Backend,
    modes: Sequence[Arm],
    about: Mapping[str, Any],
) -> None:
    """Run, print, save as `options.name`; `about` goes into the result."""
    lane, tracker = LaneSettings(threshold=options.threshold), ASSOCIATIONS[options.association]
    pipelines = open_pipelines(variants(modes, options.k), once_per_picture(backend), lane, tracker)
    scores = evaluate(folders, options.half, pipelines)
    print("\n".join(lines(scores)))
    result = dict(about) | {"half": options.half, "threshold": options.threshold, "association": options.association}
    result |= {"networks": networks(backend), "rows": list(rows(scores))}
    print(f"\nsaved {save(options.name, result, options.output)}")


@one_line("accuracy")
def main(arguments: Sequence[str] | None = None) -> int:
    """Score the networks of a folder of model files."""
    parser = command("accuracy", __doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with sequences/, or that folder itself")
    parser.add_argument("--sequences", nargs="+", default=["MOT17-09", "PETS09-S2L1"], help="which")
    parser.add_argument("--modes", nargs="+", choices=ARMS, default=ARMS, help="which")
    parser.add_argument("--name", default="accuracy", help="of the result's file")
    parser.add_argument(
        "--trained", nargs="+", default=(), metavar="NETWORK=RUN", help="whose weights were exported (default none)"
    )
    add_networks(parser)
    add_options(parser, "service")
    options = parser.parse_args(arguments)
    most = max(map(mode_of, options.modes), key=lambda mode: len(MODES[mode].networks))
    backend = open_networks(options, most)
    runs = [named.partition("=") for named in options.trained]
    trained = {network: TrainedRun.find(Path(run)).as_record() for network, _, run in runs}
    told = about(options, backend) | ({"trained": trained} if trained else {})
    folders = [sequence_folder(sequences_folder(options.data), name) for name in options.sequences]
    score(options, folders, backend, options.modes, told)
    return 0


if __name__ == "__main__":
    sys.exit(main())
