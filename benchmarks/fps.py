"""Frames per second against the keyframe period K, for every mode.

    atttrack bench fps --size 576x320 1088x608
    atttrack bench fps --source ../shared/data/sequences/MOT17-09 --name fps-mot17-09
    atttrack bench fps --compare first.json second.json
    atttrack bench fps --show benchmarks/results/fps-576x320.json

The frames are decoded beforehand; timed is what the pipeline does with each of them: letterbox, network, association,
and for AttTrack the moved heatmap. How a drifting machine is kept out of it: benchmarks.speed.blocks.

Exit codes: 1 where a measured rate is farther than 5 % from the law (something queues that the law does not know), or
where --compare finds ratios more than 3 % apart; 2 after one line that says what was wrong.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from benchmarks.arms import ARMS, Arm
from benchmarks.command import about, add_networks, command, one_line, open_networks
from benchmarks.conditions import RESULTS, save
from benchmarks.speed.blocks import MOST_ROUNDS, Bench, measure
from benchmarks.speed.report import AGREE_WITHIN, differences, report, table, worst_law
from edge.sources import open_source
from edge.sources.base import Frame
from engines.signature import size_name

SOURCE = "synthetic://?seed=1&people=20&width=1280&height=720"
PERIODS = tuple(range(1, 13))
WANTED_ERROR = 0.007
"""With it two runs, one after the other, agreed within AGREE_WITHIN in all 49 ratios; without it in 48."""
LAW_WITHIN = 0.05
"""A larger difference between a rate and the law means hidden queueing or a bug."""


@one_line("fps")
def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; see the module for what is returned."""
    options = _parser().parse_args(arguments)
    if options.compare:
        return compare(*options.compare)
    if options.show:
        print(table(json.loads(options.show.read_text())))
        return 0
    sizes = options.size if isinstance(options.size, list) else [options.size]
    worst = max([run(argparse.Namespace(**vars(options) | {"size": size})) for size in sizes])
    if worst > options.law_within:
        print(f"the law is off by {worst:.1%}, allowed are {options.law_within:.1%}", file=sys.stderr)
        return 1
    return 0


def run(options: argparse.Namespace) -> float:
    """One size: measure, print, write; returns how far the law is off."""
    arms: list[Arm] = ["student", *(arm for arm in options.modes if arm not in ("teacher", "student"))]
    backend = open_networks(options, threads=options.threads)
    bench = Bench(backend, read_frames(options.source, options.frames))
    result = report(*measure(bench, arms, options.k, options.turns, options.repeats, options.error))
    result |= {name: getattr(options, name) for name in ("source", "pair", "device", "frames", "repeats", "threads")}
    result |= {"size": size_name(options.size), "turns_per_block": options.turns}
    result["largest_error_wanted"] = options.error if math.isfinite(options.error) else None
    result["conditions"] = about(options, backend)["conditions"]
    path = save(options.name or f"fps-{size_name(options.size)}", result, options.output)
    print(f"\n{table(result)}\nsaved {path}")
    return worst_law(result)


def compare(first: Path, second: Path) -> int:
    """Print how far the ratios of two runs differ; 1 where one is more than AGREE_WITHIN apart."""
    found = differences(json.loads(first.read_text()), json.loads(second.read_text()))
    apart = {key: value for key, value in found.items() if value > AGREE_WITHIN}
    for (mode, k), value in sorted(found.items(), key=lambda item: -item[1])[:5]:
        print(f"{mode} K={k}: ratios differ by {value:.2%}")
    print(f"{len(found) - len(apart)} of {len(found)} ratios FPS_K / FPS_1 agree within {AGREE_WITHIN:.0%}")
    return 1 if apart else 0


def read_frames(source: str, count: int) -> list[Frame]:
    """The first `count` frames. Raises SourceError; ValueError for less than two, and where there are fewer."""
    if count < 2:
        raise ValueError(f"--frames must be at least 2, got {count}")
    opened = open_source(source)
    try:
        frames = list(islice(opened, count))
    finally:
        opened.close()
    if len(frames) < count:
        raise ValueError(f"{source} has {len(frames)} frames, asked for were {count}; lower --frames")
    return frames


def _parser() -> argparse.ArgumentParser:
    parser = command("fps", __doc__)
    parser.add_argument("--source", default=SOURCE, help="video, sequence folder or synthetic:// (default %(default)s)")
    parser.add_argument("--k", type=int, nargs="+", default=PERIODS, help="periods (default 1 to 12)")
    parser.add_argument("--modes", nargs="+", choices=ARMS, default=ARMS, help="default all; teacher, student always")
    parser.add_argument("--frames", type=int, default=72, help="of the source, played to and fro (default 72)")
    parser.add_argument("--turns", type=int, default=8, help="per block, of about 0.1 s (default 8)")
    parser.add_argument("--repeats", type=int, default=10, help="blocks per mode and period at least (default 10)")
    certain = (
        f"more blocks until a ratio's standard error is at most this, up to {MOST_ROUNDS} times --repeats; inf: none"
    )
    parser.add_argument("--error", type=float, default=WANTED_ERROR, help=certain)
    add_networks(parser, device="cpu", sizes="+")
    parser.add_argument("--threads", type=int, help="CPU threads per network (default: one per core)")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="DIR", help="folder for the result")
    parser.add_argument("--name", help="of the result's file (default fps-WxH); with one size")
    parser.add_argument("--law-within", type=float, default=LAW_WITHIN, help="largest residual (default %(default)s)")
    agree = "do the ratios of two runs agree? measures nothing (default: measure)"
    parser.add_argument("--compare", type=Path, nargs=2, metavar="JSON", help=agree)
    parser.add_argument(
        "--show", type=Path, metavar="JSON", help="tables of a result; measures nothing (default: measure)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
