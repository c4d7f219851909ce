"""Accuracy over speed of the schedules: fixed K and S, frame skipping (no student), and the adaptive one by quality.

    python -m benchmarks.speed.schedules --data ../shared/data/sequences --sequences MOT17-04 PETS09-S2L1

Every schedule tracks every frame through the pipeline. Speed is not timed but added up: the frames of each kind, at the
cost of a look of that kind (`--costs`, milliseconds). So nothing that the machine does meanwhile counts, and the points
of all schedules lie on one scale. Networks without prior are asked once per picture.

Writes schedules.json and .png: pooled, and one panel per sequence. What it tells at the end: how far adaptive lies
above frame skipping at equal speed, averaged over the speeds asked for, and where it lies least above.
"""

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.accuracy import HALVES, as_boxes, open_half
from benchmarks.conditions import RESULTS, conditions, save
from benchmarks.figures import panels, write
from benchmarks.metrics.scores import POOLED, MotScores, compare, with_pooled
from benchmarks.once_per_picture import once_per_picture
from edge.pipeline.backend import SHIPPED_MODELS, Backend, model_files, open_backend
from edge.pipeline.config import LaneSettings, PipelineSettings, parse_size
from edge.pipeline.look_costs import LookCosts, StatedCosts
from edge.pipeline.pipeline import TrackedFrame, TrackingPipeline
from edge.tracking.mot_folders import sequence_folder, sequence_name

COSTS_MS = (29.7, 7.0, 0.7)
"""Teacher, student, predicted: of the shipped pair at 576x320 on two CPU cores."""
SKIPPED = (1, 2, 3, 4, 5, 6, 8, 10, 12)
MIXED = ((2, 1), (4, 1), (6, 1), (12, 1), (4, 2), (6, 2), (8, 2), (12, 2), (6, 3), (12, 3), (8, 4), (12, 4), (16, 4))
QUALITIES = (0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3)
ARMS = {"skipping": "#CC79A7", "fixed": "#E69F00", "adaptive": "#0072B2"}
METRICS = ("mota", "idf1", "hota")


@dataclass(frozen=True, slots=True)
class Point:
    """One schedule on one sequence, or pooled."""

    arm: str
    name: str
    fps: float
    mota: float
    idf1: float
    hota: float


def schedules() -> dict[str, tuple[str, LaneSettings]]:
    """Name -> arm and settings."""
    found = {f"K={k}": ("skipping", LaneSettings(k, student_every=k)) for k in SKIPPED}
    found |= {f"K={k}, S={every}": ("fixed", LaneSettings(k, student_every=every)) for k, every in MIXED}
    return found | {f"q={q}": ("adaptive", LaneSettings(schedule="adaptive", quality=q)) for q in QUALITIES}


def fps(kinds: Mapping[str, int], costs_ms: Sequence[float]) -> float:
    """Frames per second that these looks allow."""
    spent_ms = sum(
        kinds.get(kind, 0) * cost for kind, cost in zip(("teacher", "student", "predicted"), costs_ms, strict=True)
    )
    return 1e3 * sum(kinds.values()) / spent_ms


def run(
    folder: Path, half: str, backend: Backend, chosen: Mapping[str, LaneSettings], costs: LookCosts
) -> dict[str, tuple[MotScores, Counter[str]]]:
    """Scores and frames by kind of each schedule; every picture is decoded once."""
    source, truth = open_half(folder, half)
    pipelines = {}  # one each: lanes of one pipeline stagger their keyframes
    for name, settings in chosen.items():
        pipelines[name] = TrackingPipeline(backend, PipelineSettings(settings, max_lanes=1), costs)
        pipelines[name].add_lane(name)
    tracked: dict[str, list[TrackedFrame]] = {name: [] for name in chosen}
    for frame in tqdm(source, total=source.frame_count, desc=source.path.name, unit="frame", disable=None):
        for name, pipeline in pipelines.items():
            tracked[name] += pipeline.collect(pipeline.submit({name: frame}))
    return {
        name: (
            compare(truth, as_boxes(frames, source.first), source.first, source.last),
            Counter(f.kind for f in frames),
        )
        for name, frames in tracked.items()
    }


def gain(points: Sequence[Point], metric: str, speeds: Sequence[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """How far adaptive lies above skipping at each speed, percentage points; between points along the log of speed."""
    level = {}
    for arm in ("skipping", "adaptive"):
        curve = sorted((point.fps, getattr(point, metric)) for point in points if point.arm == arm)
        level[arm] = np.interp(np.log(speeds), np.log([x for x, _ in curve]), [y for _, y in curve])
    return np.asarray(level["adaptive"] - level["skipping"])


def verdict(points: Sequence[Point], low: float, high: float) -> dict[str, float]:
    """Mean gain over skipping from `low` to `high` frames/s, where both were measured, and the least MOTA gain."""
    both = [[point.fps for point in points if point.arm == arm] for arm in ("skipping", "adaptive")]
    speeds = np.linspace(max(low, *map(min, both)), min(high, *map(max, both)), 50).tolist()
    told = {metric: round(float(gain(points, metric, speeds).mean()), 2) for metric in METRICS}
    return told | {"least_mota": round(float(gain(points, "mota", speeds).min()), 2)}


def draw(points: Mapping[str, Sequence[Point]], path: Path) -> None:
    """MOTA over speed, one panel per sequence, pooled first."""
    columns = min(3, len(points))
    figure, axes = panels(360 * columns, 280 * -(-len(points) // columns), -(-len(points) // columns), columns)
    for panel, (sequence, of_sequence) in zip(axes.flat, points.items(), strict=False):
        for arm, colour in ARMS.items():
            curve = sorted((point.fps, point.mota) for point in of_sequence if point.arm == arm)
            panel.plot(
                [x for x, _ in curve], [y for _, y in curve], "." if arm == "fixed" else ".-", color=colour, label=arm
            )
        panel.set(xscale="log", title=sequence, xlabel="frames/s", ylabel="MOTA, %")
        panel.grid(alpha=0.3)
    axes[0][0].legend(fontsize=8)
    write(figure, path)


def points_of(
    scores: Mapping[str, Mapping[str, tuple[MotScores, Counter[str]]]], costs_ms: Sequence[float]
) -> dict[str, list[Point]]:
    """Sequence (pooled first) -> its points, from the scores of each sequence and schedule."""
    arms = {name: arm for name, (arm, _) in schedules().items()}
    found: dict[str, list[Point]] = {sequence: [] for sequence in (POOLED, *scores)}
    for name in next(iter(scores.values())):
        kinds = {sequence: of[name][1] for sequence, of in scores.items()}
        kinds[POOLED] = sum(kinds.values(), Counter[str]())
        mot = with_pooled({sequence: of[name][0] for sequence, of in scores.items()})
        for sequence, score in mot.items():
            percent = [round(100 * value, 2) for value in (score.mota, score.idf1, score.hota)]
            found[sequence].append(Point(arms[name], name, round(fps(kinds[sequence], costs_ms), 1), *percent))
    return found


def main() -> None:
    """Track, score, print, draw, save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of sequence folders")
    parser.add_argument("--sequences", nargs="+", default=["MOT17-09", "PETS09-S2L1"])
    parser.add_argument("--half", choices=HALVES, default="second", help="which frames; the first half is for training")
    parser.add_argument("--models", type=Path, default=SHIPPED_MODELS)
    parser.add_argument("--pair", default="yolo")
    parser.add_argument("--size", type=parse_size, default=(576, 320), metavar="WIDTHxHEIGHT")
    parser.add_argument("--costs", type=float, nargs=3, default=COSTS_MS, metavar=("TEACHER", "STUDENT", "PREDICTED"))
    parser.add_argument("--range", type=float, nargs=2, default=(50, 250), metavar="FPS", help="speeds of the verdict")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()

    backend = open_backend(options.models, options.size, "cpu", pair=options.pair, threads=options.threads)
    chosen = {name: settings for name, (_, settings) in schedules().items()}
    costs = StatedCosts(*options.costs[:2])
    scores = {
        sequence_name(folder): run(folder, options.half, once_per_picture(backend), chosen, costs)
        for folder in (sequence_folder(options.data, name) for name in options.sequences)
    }
    points = points_of(scores, options.costs)
    verdicts = {sequence: verdict(of_sequence, *options.range) for sequence, of_sequence in points.items()}
    for point in sorted(points[POOLED], key=lambda point: point.fps):
        scored = f"{point.mota:5.1f} {point.idf1:5.1f} {point.hota:5.1f}"
        print(f"{point.arm:9} {point.name:10} {point.fps:6.0f} frames/s  {scored}")
    for sequence, told in verdicts.items():
        print(
            f"{sequence:16} adaptive over skipping: "
            + ", ".join(f"{name} {value:+.2f}" for name, value in told.items())
        )
    rows = [
        {"sequence": sequence, **{name: getattr(point, name) for name in Point.__slots__}}
        for sequence, of_sequence in points.items()
        for point in of_sequence
    ]
    about = {
        "conditions": conditions(model_files(options.models, options.pair, options.size), backend),
        "half": options.half,
        "costs_ms": options.costs,
    }
    path = save("schedules", about | {"rows": rows, "adaptive_over_skipping": verdicts}, options.output)
    draw(points, path.with_suffix(".png"))
    print(f"saved {path} and its plot")


if __name__ == "__main__":
    main()
