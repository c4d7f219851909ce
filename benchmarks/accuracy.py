"""How accurate each mode is at each keyframe period, on sequences with known truth.

    python -m benchmarks.accuracy --data ../shared/data/sequences --sequences MOT17-09 PETS09-S2L1 --k 2 4 6

Runs the pipeline that the service and `python -m edge` run. Every picture is decoded once and goes to all variants in
turn, each with a tracker that starts fresh at the first frame of its half.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

import numpy as np
from tqdm import tqdm

from benchmarks.conditions import RESULTS, conditions, save
from benchmarks.mot_metrics import POOLED, MotScores, compare, with_pooled
from edge.backend import SHIPPED_MODELS, open_backend
from edge.config import PipelineSettings, parse_size
from edge.modes import MODES, Mode
from edge.mot_format import MotBoxes, parse_mot, read_mot
from edge.pipeline import TrackedFrame, TrackingPipeline
from edge.schedule import KeyframeSchedule
from edge.sources.sequence import SequenceInfo, SequenceSource
from edge.tracking.tracker import TrackerSettings

LANE = "sequence"
HALVES = ("first", "second", "all")


@dataclass(frozen=True, slots=True)
class Variant:
    """One line of the table."""

    mode: Mode
    k: int | None
    """None where the keyframe period means nothing: a single network runs."""

    def __str__(self) -> str:
        return self.mode if self.k is None else f"{self.mode} K={self.k}"


def variants(modes: Sequence[Mode], periods: Sequence[int]) -> list[Variant]:
    """Every mode at every period; modes with a single network once."""
    return [Variant(mode, k) for mode in modes for k in (periods if MODES[mode].policy is KeyframeSchedule else [None])]


def half_range(length: int, half: str) -> tuple[int, int]:
    """First and last frame, from 1: FairMOT trains on 1..length//2 and tests on the rest."""
    middle = length // 2
    return {"first": (1, middle), "second": (middle + 1, length), "all": (1, length)}[half]


def open_pipelines(
    chosen: Sequence[Variant], models: Path, size: tuple[int, int], tracker: TrackerSettings | None = None
) -> dict[Variant, TrackingPipeline]:
    """A pipeline for each variant; they share the networks."""
    tracker = tracker or TrackerSettings()
    backend = open_backend(models, size, mode=chosen[0].mode)
    return {
        variant: TrackingPipeline(
            backend, PipelineSettings(mode=variant.mode, k=variant.k or 1, max_lanes=1, tracker=tracker)
        )
        for variant in chosen
    }


def track_sequence(source: SequenceSource, pipelines: dict[Variant, TrackingPipeline]) -> dict[Variant, MotBoxes]:
    """What each variant says about each frame, numbered as in the sequence."""
    found: dict[Variant, list[TrackedFrame]] = {variant: [] for variant in pipelines}
    for pipeline in pipelines.values():
        pipeline.add_lane(LANE)
    for frame in tqdm(source, total=source.frame_count, desc=source.path.name, unit="frame", disable=None):
        for variant, pipeline in pipelines.items():
            found[variant] += pipeline.collect(pipeline.submit({LANE: frame}))
    for pipeline in pipelines.values():
        pipeline.remove_lane(LANE)
    return {variant: as_boxes(frames, source.first) for variant, frames in found.items()}


def as_boxes(tracked: Sequence[TrackedFrame], first: int) -> MotBoxes:
    """All tracks in MOTChallenge's terms; the source's frame 0 is the sequence's `first`."""
    parts = [parse_mot([]), *(MotBoxes.from_tracks(first - 1 + t.frame.index, t.tracks) for t in tracked)]
    return MotBoxes(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(MotBoxes)))


def evaluate(
    folders: Sequence[Path], half: str, pipelines: dict[Variant, TrackingPipeline]
) -> dict[Variant, dict[str, MotScores]]:
    """Scores of each variant: per sequence and pooled."""
    scores: dict[Variant, dict[str, MotScores]] = {variant: {} for variant in pipelines}
    for folder in folders:
        first, last = half_range(SequenceInfo.read(folder / "seqinfo.ini").length, half)
        source = SequenceSource(folder, first, last)
        if source.truth_path is None:
            raise SystemExit(f"{folder} has no gt.txt: nothing to compare with")
        truth = read_mot(source.truth_path)
        for variant, boxes in track_sequence(source, pipelines).items():
            scores[variant][folder.name] = compare(truth, boxes, first, last)
    return {variant: with_pooled(by_sequence) for variant, by_sequence in scores.items()}


def lines(scores: dict[Variant, dict[str, MotScores]]) -> Iterator[str]:
    """The table, one block per sequence, pooled last."""
    for sequence in next(iter(scores.values())):
        yield f"\n{sequence:16} {'MOTA':>6} {'IDF1':>6} {'HOTA':>6} {'FP':>6} {'FN':>6} {'IDSW':>5}"
        for variant, by_sequence in scores.items():
            s = by_sequence[sequence]
            yield (
                f"{variant!s:16} {100 * s.clear.mota:6.1f} {100 * s.identity.idf1:6.1f} {100 * s.hota.hota:6.1f} "
                f"{s.clear.false_positives:6} {s.clear.misses:6} {s.clear.switches:5}"
            )


def draw(scores: dict[Variant, dict[str, MotScores]], path: Path) -> None:
    """Pooled MOTA and IDF1 over K; single networks as level lines."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for panel, name in zip(panels, ("mota", "idf1"), strict=True):
        for number, mode in enumerate(dict.fromkeys(variant.mode for variant in scores)):
            points = [(v.k, 100 * s[POOLED].as_record()[name]) for v, s in scores.items() if v.mode == mode]
            if points[0][0] is None:
                panel.axhline(points[0][1], color=f"C{number}", linestyle="--", label=mode)
            else:
                panel.plot(*zip(*points, strict=True), "o-", color=f"C{number}", label=mode)
        panel.set(xlabel="keyframe period K", ylabel=f"{name.upper()}, %")
        panel.grid(alpha=0.3)
        panel.set_xticks(sorted({v.k for v in scores if v.k is not None}))
    panels[0].legend()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def rows(scores: dict[Variant, dict[str, MotScores]]) -> Iterator[dict[str, Any]]:
    """One record per variant and sequence."""
    for variant, by_sequence in scores.items():
        for sequence, values in by_sequence.items():
            yield {"mode": variant.mode, "k": variant.k, "sequence": sequence} | values.as_record()


def main() -> None:
    """Run, print, save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of sequence folders")
    parser.add_argument("--sequences", nargs="+", default=["MOT17-09", "PETS09-S2L1"])
    parser.add_argument("--half", choices=HALVES, default="second", help="which frames; the first half is for training")
    parser.add_argument("--modes", nargs="+", choices=get_args(Mode), default=list(get_args(Mode)))
    parser.add_argument("--k", nargs="+", type=int, default=[2, 4, 6], help="keyframe periods")
    parser.add_argument("--models", type=Path, default=SHIPPED_MODELS)
    parser.add_argument("--size", type=parse_size, default=(576, 320), metavar="WIDTHxHEIGHT")
    parser.add_argument("--threshold", type=float, default=TrackerSettings().score_threshold, help="score to exceed")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for the result and its plot")
    parser.add_argument("--name", default="accuracy", help="of the result's files")
    options = parser.parse_args()

    folders = [options.data / name for name in options.sequences]
    tracker = TrackerSettings(score_threshold=options.threshold)
    pipelines = open_pipelines(variants(options.modes, options.k), options.models, options.size, tracker)
    scores = evaluate(folders, options.half, pipelines)
    print("\n".join(lines(scores)))

    width, height = options.size
    files = options.models.glob(f"*-{width}x{height}.onnx")
    result = {"conditions": conditions(files), "half": options.half, "input": f"{width}x{height}"}
    result["threshold"] = options.threshold
    path = save(options.name, result | {"rows": list(rows(scores))}, options.output)
    draw(scores, path.with_suffix(".png"))
    print(f"\nsaved {path} and its plot")


if __name__ == "__main__":
    main()
