"""`atttrack track SOURCE`, or `python -m edge SOURCE`: track the people of one source and write MOTChallenge text."""

import argparse
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import get_args
from urllib.parse import unquote

from tqdm import tqdm

from edge.annotate import Annotator
from edge.outputs import check_outputs
from edge.pipeline.backend import open_backend
from edge.pipeline.config import (
    INPUT_SIZE,
    SHIPPED_PAIR,
    LaneSettings,
    PipelineSettings,
    ScheduleName,
    parse_size,
)
from edge.pipeline.modes import MODES
from edge.pipeline.pipeline import PipelineError, TrackedFrame, TrackingPipeline
from edge.sources import open_source
from edge.sources.base import Frame, Source, SourceError, SourceState
from edge.sources.decoding import WANTED, choose_decoding
from edge.sources.latest import FrameReader, LatestFrame
from edge.sources.video import ENDS_EARLY
from edge.summary import Summary
from edge.tracking.mot_format import MotBoxes, class_numbers, result_lines
from edge.video_writer import VideoWriter
from engines.errors import EngineError
from engines.signature import PEOPLE, size_name

PROGRAM = "atttrack track"
EXAMPLES = f"""examples:
  {PROGRAM} street.mp4                          writes street.tracks.txt into this folder
  {PROGRAM} street.mp4 --video                  and street.tracked.mp4, with boxes, ids and trails
  {PROGRAM} rtsp://camera.local/stream1 --output hall.txt --k 6
  {PROGRAM} MOT17/train/MOT17-09-SDP --frames 263-525
  {PROGRAM} 'synthetic://?seed=1&people=20&frames=300' --mode no-update

modes:
""" + "\n".join(f"  {name:10} {plan.about}" for name, plan in MODES.items())
LANE = "source"
NAMED_AFTER_SOURCE = Path()
MISTAKE, ENDED_EARLY, INTERRUPTED = 2, 3, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0, or after one line that says what was wrong 2, or 3; 130 when told to stop.

    3: all that there was is tracked and written, but the source has ended before it should have.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.source is None and options.video in (None, NAMED_AFTER_SOURCE):
        parser.error("what is to be tracked? A film, a camera's rtsp:// URL, a sequence folder or synthetic://")
    if options.source is None:  # `--video film.mp4`: the only name there is must be the film
        options.source, options.video = str(options.video), NAMED_AFTER_SOURCE
    try:
        state = _track(options)
    except (SourceError, EngineError, PipelineError, ValueError, OSError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return MISTAKE
    except KeyboardInterrupt:
        return INTERRUPTED
    if state.code == ENDS_EARLY:
        print(f"{PROGRAM}: {state.message}", file=sys.stderr)
        return ENDED_EARLY
    return 0


def _track(options: argparse.Namespace) -> SourceState:
    """The journey of every frame: source, pipeline, text, picture. How the source ended."""
    lane = LaneSettings(
        options.k,
        options.mode,
        options.threshold,
        schedule=options.schedule,
        quality=options.quality,
        student_every=options.student_every,
    )
    settings = PipelineSettings(lane, max_lanes=1)
    text = options.output or _named_after(options.source, ".tracks.txt")
    film = _named_after(options.source, ".tracked.mp4") if options.video == NAMED_AFTER_SOURCE else options.video
    check_outputs(options.source, {"--output": text} | ({"--video": film} if film else {}))
    decoding = choose_decoding(options.decode, options.device)  # first: gpu-direct has a say in how the GPU is opened
    backend = open_backend(
        options.models,
        options.size,
        options.device,
        options.mode,
        pair=options.pair,
        threads=options.threads,
        teacher_size=options.teacher_size,
    )
    with ExitStack() as stack:
        source = open_source(options.source, decoding=decoding)
        stack.callback(source.close)
        frames = stack.enter_context(closing(_frames(source, options.frames)))
        first = next(frames, None)  # before anything is written: a source that cannot be read leaves no file behind
        output = stack.enter_context(text.open("w", encoding="utf-8"))
        video = stack.enter_context(VideoWriter(film)) if film else None
        pipeline = TrackingPipeline(backend, settings)
        pipeline.add_lane(LANE)
        annotator, counted = Annotator(), {"teacher": 0, "student": 0, "predicted": 0}
        summary = Summary(options.threshold, backend.classes)
        started_s = perf_counter()
        try:
            for frame, since_begin_s in chain([first] if first else [], frames):
                tracked = pipeline.collect(pipeline.submit({LANE: frame}))[0]
                counted[tracked.kind] += 1
                boxes = MotBoxes.from_tracks(frame.index, tracked.tracks, backend.classes)
                output.write(result_lines(boxes, backend.classes))
                summary.add(tracked.tracks, since_begin_s)
                if video is not None:
                    _film(video, annotator, tracked)
        except KeyboardInterrupt:
            print("interrupted; what was tracked so far is written", file=sys.stderr)
        finally:
            wall_s = perf_counter() - started_s
            print(f"{summary.table()}\n\n{_rate(counted, wall_s)}")
            if options.stages:
                print(_stages(pipeline, sum(counted.values()), wall_s))
            if backend.signatures[0].appearance == "none":
                print("these networks know no appearance: people were told apart by motion and overlap")
            if backend.classes != PEOPLE:
                numbers = (f"{number} {name}" for name, number in class_numbers(backend.classes).items())
                print(f"classes in the text: {', '.join(numbers)}")
            print(f"tracks: {text}" + (f"\nvideo:  {film}" if film else ""))
        return source.state


def _named_after(source: str, ending: str) -> Path:
    """'clips/street.mp4' -> 'street.tracks.txt', in the current folder."""
    scheme, _, rest = source.rpartition("://")
    if scheme.lower() not in ("", "file"):
        return Path(("synthetic" if scheme.lower() == "synthetic" else "camera") + ending)
    path = Path(unquote(rest) if scheme else source).resolve()
    return Path((path.name if path.is_dir() else path.stem) + ending)


def _frames(source: Source, wanted: tuple[int, int] | None) -> Generator[tuple[Frame, float]]:
    """The wanted frames, and how many seconds after the source's first they were taken.

    They are decoded in a thread of their own; of a live source only the newest counts. Raises the source's error.
    """
    first, last = wanted or (1, sys.maxsize)
    known = source.frame_count
    total = None if known is None else max(0, min(last, known) - first + 1)
    door = LatestFrame()
    reader = FrameReader(source, door)
    reader.start()
    begin_s: float | None = None
    try:
        with tqdm(total=total, unit="frame", smoothing=0.05, disable=None) as bar:
            while not door.finished:
                frame = door.wait(timeout_s=1.0)
                if frame is None:
                    continue
                begin_s = frame.time_s if begin_s is None else begin_s
                if frame.index + 1 < first:
                    continue
                if frame.index + 1 > last:
                    return
                yield frame, frame.time_s - begin_s
                bar.update()
    finally:
        reader.close()
    if reader.error is not None:
        raise reader.error


def _film(video: VideoWriter, annotator: Annotator, tracked: TrackedFrame) -> None:
    image = tracked.frame.image.copy()
    annotator.draw(image, tracked)
    video.write(image, tracked.frame.time_s)


def _rate(counted: dict[str, int], wall_s: float) -> str:
    frames = sum(counted.values())
    told = {"teacher": "by the teacher", "student": "by the student", "predicted": "predicted"}
    kinds = ", ".join(f"{count} {told[kind]}" for kind, count in counted.items() if count)
    return (
        f"{frames} frames ({kinds or 'none seen'}) in {wall_s:.1f} s: {frames / wall_s if wall_s else 0:.1f} frames/s"
    )


def _stages(pipeline: TrackingPipeline, frames: int, wall_s: float) -> str:
    """Time per stage, as a table."""
    lines = [f"{'stage':<13}{'frames':>8}{'ms/frame':>10}{'share':>8}"]
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
        prog=PROGRAM,
        usage=f"{PROGRAM} SOURCE [options]",
        description="Track the people in a film, a camera or a MOTChallenge sequence; write MOTChallenge text.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    lane = LaneSettings()
    parser.add_argument(
        "source", nargs="?", metavar="SOURCE", help="video file, rtsp:// URL, sequence folder, or synthetic://"
    )
    parser.add_argument(
        "--output", type=Path, metavar="TXT", help="MOTChallenge text to write (default SOURCE's name, .tracks.txt)"
    )
    parser.add_argument(
        "--video",
        type=Path,
        nargs="?",
        const=NAMED_AFTER_SOURCE,
        metavar="MP4",
        help="write an annotated video, too, .mp4 or .webm; without a name SOURCE's, .tracked.mp4 (default none)",
    )
    parser.add_argument(
        "--k", "-k", type=int, default=lane.k, help="the teacher sees every K-th frame (default %(default)s)"
    )
    parser.add_argument(
        "--student-every",
        type=int,
        default=lane.student_every,
        metavar="S",
        help="of the frames between, the student sees every S-th, nobody the rest; K or more: no student "
        "(default %(default)s)",
    )
    parser.add_argument(
        "--schedule",
        choices=get_args(ScheduleName),
        default=lane.schedule,
        help="who decides which network sees a frame: fixed, by --k and --student-every, or adaptive, by what the "
        "tracker knows and --quality (default %(default)s)",
    )
    parser.add_argument(
        "--quality",
        type=float,
        default=lane.quality,
        help="adaptive: 0 to 1, the more the dearer (default %(default)s)",
    )
    parser.add_argument("--mode", choices=tuple(MODES), default=lane.mode, help="see below (default %(default)s)")
    parser.add_argument(
        "--frames",
        type=_range,
        metavar="A-B",
        help="only these frames, counted from 1: 263-525, or 263- to the end (default all)",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=lane.threshold,
        metavar="X",
        help="score to exceed (default %(default)s)",
    )
    parser.add_argument(
        "--size",
        type=parse_size,
        default=size_name(INPUT_SIZE),
        metavar="WxH",
        help="network input (default %(default)s)",
    )
    parser.add_argument("--teacher-size", type=parse_size, metavar="WxH", help="the teacher's (default that of --size)")
    parser.add_argument(
        "--models", type=Path, metavar="DIR", help="folder of the model files (default the shipped one)"
    )
    parser.add_argument("--pair", default=SHIPPED_PAIR, help="name of the model pair (default %(default)s)")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="where the networks run (default auto)"
    )
    parser.add_argument(
        "--decode", choices=WANTED, default="auto", help="what decodes video, see docs/GPU.md (default auto)"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads per network (default one per core)")
    parser.add_argument("--stages", action="store_true", help="print how long each stage took, too")
    return parser


def _range(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    if not (dash and first.isdecimal() and (last.isdecimal() or not last)):
        raise argparse.ArgumentTypeError(f"frames look like 263-525 or 263-, got {text!r}")
    if not 1 <= int(first) <= int(last or sys.maxsize):
        raise argparse.ArgumentTypeError(f"frames are counted from 1 upwards, got {text!r}")
    return int(first), int(last or sys.maxsize)


if __name__ == "__main__":
    sys.exit(main())
