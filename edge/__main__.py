"""`python -m edge SOURCE --output tracks.txt`: track the people of one source and write MOTChallenge text."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter

from tqdm import tqdm

from edge.annotate import Annotator
from edge.outputs import check_outputs
from edge.pipeline.backend import open_backend
from edge.pipeline.config import INPUT_SIZE, LaneSettings, PipelineSettings, parse_size
from edge.pipeline.modes import MODES
from edge.pipeline.pipeline import PipelineError, TrackedFrame, TrackingPipeline
from edge.sources import open_source
from edge.sources.base import Frame, Source, SourceError, SourceState
from edge.sources.decoding import WANTED, choose_decoding
from edge.sources.latest import FrameReader, LatestFrame
from edge.sources.video import ENDS_EARLY
from edge.tracking.mot_format import MotBoxes, result_lines
from edge.video_writer import VideoWriter
from engines.errors import EngineError

EXAMPLES = """examples:
  python -m edge street.mp4 --output tracks.txt --video annotated.mp4
  python -m edge rtsp://camera.local/stream1 --output tracks.txt --k 6
  python -m edge MOT17/train/MOT17-09-SDP --output MOT17-09.txt --frames 263-525
  python -m edge 'synthetic://?seed=1&people=20&frames=300' --output tracks.txt --mode no-update

modes:
""" + "\n".join(f"  {name:10} {plan.about}" for name, plan in MODES.items())
LANE = "source"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0, or after one line that says what was wrong 2, or 3.

    3: all that there was is tracked and written, but the source has ended before it should have.
    """
    options = _parser().parse_args(arguments)
    try:
        state = _track(options)
    except (SourceError, EngineError, PipelineError, ValueError, OSError) as error:
        print(f"python -m edge: {error}", file=sys.stderr)
        return 2
    if state.code == ENDS_EARLY:
        print(f"python -m edge: {state.message}", file=sys.stderr)
        return 3
    return 0


def _track(options: argparse.Namespace) -> SourceState:
    """The journey of every frame: source, pipeline, text, picture. How the source ended."""
    outputs = {"--output": options.output} | ({"--video": options.video} if options.video else {})
    check_outputs(options.source, outputs)
    lane = LaneSettings(options.k, options.mode, options.threshold, student_every=options.student_every)
    settings = PipelineSettings(lane, max_lanes=1)
    decoding = choose_decoding(options.decode, options.device)  # first: gpu-direct has a say in how the GPU is opened
    backend = open_backend(
        options.models, options.size, options.device, options.mode, pair=options.pair, threads=options.threads
    )
    with ExitStack() as stack:
        source = open_source(options.source, decoding=decoding)
        stack.callback(source.close)
        output = stack.enter_context(options.output.open("w", encoding="utf-8"))
        video = stack.enter_context(VideoWriter(options.video)) if options.video else None
        pipeline = TrackingPipeline(backend, settings)
        pipeline.add_lane(LANE)
        annotator, counted = Annotator(), {"teacher": 0, "student": 0, "predicted": 0}
        started_s = perf_counter()
        try:
            for frame in _frames(source, options.frames):
                tracked = pipeline.collect(pipeline.submit({LANE: frame}))[0]
                counted[tracked.kind] += 1
                output.write(result_lines(MotBoxes.from_tracks(frame.index, tracked.tracks)))
                if video is not None:
                    _film(video, annotator, tracked)
        except KeyboardInterrupt:
            print("interrupted; what was tracked so far is written", file=sys.stderr)
        finally:
            print(_report(pipeline, counted, perf_counter() - started_s))
            print(f"tracks: {options.output}" + (f"\nvideo:  {options.video}" if video else ""))
        return source.state


def _frames(source: Source, wanted: tuple[int, int] | None) -> Iterator[Frame]:
    """The wanted frames, decoded in a thread of their own; of a live source the newest. Raises the source's error."""
    first, last = wanted or (1, sys.maxsize)
    known = source.frame_count
    total = None if known is None else max(0, min(last, known) - first + 1)
    door = LatestFrame()
    reader = FrameReader(source, door)
    reader.start()
    try:
        with tqdm(total=total, unit="frame", smoothing=0.05, disable=None) as bar:
            while not door.finished:
                frame = door.wait(timeout_s=1.0)
                if frame is None or frame.index + 1 < first:
                    continue
                if frame.index + 1 > last:
                    return
                yield frame
                bar.update()
    finally:
        reader.close()
    if reader.error is not None:
        raise reader.error


def _film(video: VideoWriter, annotator: Annotator, tracked: TrackedFrame) -> None:
    image = tracked.frame.image.copy()
    annotator.draw(image, tracked)
    video.write(image, tracked.frame.time_s)


def _report(pipeline: TrackingPipeline, counted: dict[str, int], wall_s: float) -> str:
    """Rate and time per stage, as a table."""
    frames = sum(counted.values())
    kinds = ", ".join(f"{count} by the {kind}" for kind, count in counted.items() if count)
    lines = [
        f"{frames} frames ({kinds or 'none seen'}) in {wall_s:.1f} s: {frames / wall_s if wall_s else 0:.1f} frames/s",
        f"{'stage':<13}{'frames':>8}{'ms/frame':>10}{'share':>8}",
    ]
    rest_s = wall_s
    for name, watch in pipeline.times.stages().items():
        rest_s -= watch.seconds
        if watch.frames:
            share = watch.seconds / wall_s
            lines.append(f"{name:<13}{watch.frames:>8}{watch.ms_per_frame:>10.3f}{share:>8.1%}")
    if frames:
        lines.append(f"{'reading etc.':<13}{frames:>8}{1e3 * rest_s / frames:>10.3f}{rest_s / wall_s:>8.1%}")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m edge",
        description="Track the people in a video, a camera or a MOTChallenge sequence; write MOTChallenge text.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", help="video file, rtsp:// URL, sequence folder, or synthetic://")
    parser.add_argument("--output", type=Path, required=True, metavar="TXT", help="MOTChallenge text to write")
    parser.add_argument("--video", type=Path, metavar="MP4", help="annotated video to write, .mp4 or .webm")
    lane = LaneSettings()
    parser.add_argument("--k", type=int, default=lane.k, help="the teacher sees every K-th frame (default %(default)s)")
    parser.add_argument(
        "--student-every",
        type=int,
        default=lane.student_every,
        metavar="S",
        help="of the frames between, the student sees every S-th, nobody the rest (default 1; K or more: no student)",
    )
    parser.add_argument("--mode", choices=tuple(MODES), default="atttrack", help="see below (default atttrack)")
    parser.add_argument(
        "--frames", type=_range, metavar="A-B", help="only these frames, counted from 1: 263-525, or 263- to the end"
    )
    parser.add_argument("--threshold", type=float, default=lane.threshold, help="score to exceed (default %(default)s)")
    parser.add_argument("--size", type=_size, default=INPUT_SIZE, metavar="WxH", help="network input (default 576x320)")
    parser.add_argument(
        "--models", type=Path, metavar="DIR", help="folder of the model files (default: the shipped one)"
    )
    parser.add_argument("--pair", default="yolo", help="name of the model pair (default yolo)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--decode", choices=WANTED, default="auto", help="what decodes video, see docs/GPU.md")
    parser.add_argument("--threads", type=int, help="CPU threads per network (default: one per core)")
    return parser


def _size(text: str) -> tuple[int, int]:
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _range(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    if not (dash and first.isdecimal() and (last.isdecimal() or not last)):
        raise argparse.ArgumentTypeError(f"frames look like 263-525 or 263-, got {text!r}")
    if not 1 <= int(first) <= int(last or sys.maxsize):
        raise argparse.ArgumentTypeError(f"frames are counted from 1 upwards, got {text!r}")
    return int(first), int(last or sys.maxsize)


if __name__ == "__main__":
    sys.exit(main())
