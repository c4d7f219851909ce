"""Where tracking fails: whom it misses, what its false boxes lie on, when ids change; in numbers and in pictures.

    atttrack bench failures --data ../shared/data/sequences --outlines
    atttrack bench failures --data MOT17/train --sequences MOT17-09 --pictures /tmp/worst --worst 5
    atttrack bench failures --data my-cameras --half all --mode teacher --models runs/models --output /tmp

Runs the pipeline that the service runs over halves of sequences that were never trained on, as benchmarks.accuracy
does, and counts by the same rules. Writes NAME.json, and its picture as NAME.png. --data has a folder per sequence in
MOTChallenge form: seqinfo.ini, gt.txt or gt/gt.txt, img1/ or video.mp4. The pictures of --pictures show your data;
--outlines draws the same frames without a pixel of it.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.accuracy import add_frames, as_boxes, open_half
from benchmarks.arms import ARMS, Variant, has_period, mode_of, open_pipelines, track_sequence
from benchmarks.command import about, add_networks, command, networks, one_line, open_networks
from benchmarks.conditions import save
from benchmarks.failures.counts import count
from benchmarks.failures.drawings import write_outlines, write_picture
from benchmarks.failures.judge import JudgedSequence, judge
from benchmarks.failures.plot import plot
from edge.ops.letterbox import Letterbox
from edge.pipeline.config import LaneSettings
from edge.pipeline.pipeline import TrackingPipeline
from edge.tracking.mot_folders import sequence_folder, sequence_name


@one_line("failures")
def main(arguments: Sequence[str] | None = None) -> int:
    """One sequence after the other, then the files."""
    options = _parser().parse_args(arguments)
    lane = LaneSettings(k=options.k, threshold=options.threshold)
    folders = sequence_folders(options.data, options.sequences)
    backend = open_networks(options, mode_of(options.mode))
    variant = Variant(options.mode, options.k if has_period(options.mode) else None)
    pipelines = open_pipelines([variant], backend, lane)
    judged = [judge_folder(folder, pipelines, options) for folder in folders]
    chosen = [(sequence, frame) for sequence in judged for frame in sequence.worst(options.worst)]
    result = about(options, backend) | {"mode": variant.mode, "k": variant.k, "half": options.half}
    result |= {"threshold": options.threshold, "networks": networks(backend), **count(judged)}
    result["worst"] = [
        {"sequence": sequence.name, "frame": frame.number, "missed": frame.missed, "false": frame.false}
        for sequence, frame in chosen
    ]
    print("\n".join(lines(result)))
    path = save(options.name, result, options.output)
    plot(result, path.with_suffix(".png"))
    if options.outlines:
        write_outlines(chosen, path.with_name(f"{options.name}-outlines.png"))
    print(f"\nsaved {path} and its plot" + (", and the outlines" if options.outlines else ""))
    return 0


def sequence_folders(data: Path, names: Sequence[str] | None) -> list[Path]:
    """Those named, or all that are there, of MOT17's copies one. Raises ValueError where that is none."""
    here = {sequence_name(path.parent) for path in data.glob("*/seqinfo.ini")}
    if not names and not here:
        raise ValueError(f"{data} has no sequence: a folder with seqinfo.ini and gt.txt")
    return [sequence_folder(data, name) for name in names or sorted(here)]


def judge_folder(
    folder: Path, pipelines: Mapping[Variant, TrackingPipeline], options: argparse.Namespace
) -> JudgedSequence:
    """Track one sequence and judge its frames; its worst ones are drawn while their pictures are at hand."""
    source, truth = open_half(folder, options.half)
    (tracked,) = track_sequence(source, pipelines).values()
    since_keyframe = [frame.since_teacher for frame in tracked]
    frames = judge(truth, as_boxes(tracked, source.first), source.first, since_keyframe)
    info = source.info
    ratio = Letterbox(info.width, info.height, *options.size).ratio
    sequence = JudgedSequence(sequence_name(folder), frames, (info.width, info.height), ratio, info.frame_rate)
    if options.pictures is not None:
        options.pictures.mkdir(parents=True, exist_ok=True)
        for frame in sequence.worst(options.worst):
            image = tracked[frame.number - source.first].frame.image
            write_picture(image, sequence, frame, options.pictures / f"{sequence.name}-{frame.number:06d}.jpg")
    return sequence


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """A table: one line per sequence, pooled last."""
    rows = [*result["by_sequence"], {"sequence": "pooled"} | result["pooled"]]
    kinds = list(result["pooled"]["false"])
    yield f"{'':16} {'people':>7} {'recall':>7} {'precision':>9} {'switches':>8}   false boxes: {', '.join(kinds)}"
    for row in rows:
        ratios = [row["recall"], row["precision"]]
        recall, precision = ("-" if ratio is None else f"{100 * ratio:.1f}" for ratio in ratios)
        false = " ".join(f"{row['false'][kind]:>7}" for kind in kinds)
        yield f"{row['sequence']:16} {row['people']:>7} {recall:>7} {precision:>9} {row['switches']:>8}   {false}"


def _parser() -> argparse.ArgumentParser:
    parser = command("failures", __doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of sequence folders")
    parser.add_argument("--sequences", nargs="+", metavar="NAME", help="default: all that are there")
    parser.add_argument("--mode", choices=ARMS, default="atttrack", help="which")
    parser.add_argument("--k", type=int, default=6, help="keyframe period")
    add_networks(parser)
    add_frames(parser)
    parser.add_argument("--worst", type=int, default=3, metavar="N", help="frames per sequence to draw (default 3)")
    parser.add_argument(
        "--pictures", type=Path, metavar="FOLDER", help="draw them on their pictures, as JPEG (default: nowhere)"
    )
    parser.add_argument("--outlines", action="store_true", help="draw them as outlines: NAME-outlines.png")
    parser.add_argument("--name", default="failures", help="of the result's files")
    return parser


if __name__ == "__main__":
    sys.exit(main())
