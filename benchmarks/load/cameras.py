"""Sixteen RTSP cameras on loopback, three of them bad: what do the good ones miss, and how soon is a killed one back?

    atttrack bench cameras --seconds 60

Reads the cameras as the service does, without networks. Also measures what a decoder process costs: CPU to start it,
memory, CPU per picture. Exit code 1 when a good camera misses more than a hundredth of its pictures, or when a killed
camera is not back within two seconds of its return.
"""

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

from tqdm import trange

from benchmarks.command import command
from benchmarks.conditions import RESULTS, conditions, save_verdict
from edge.sources import open_source
from edge.sources.base import Frame
from edge.sources.decoder.process import DECODERS
from edge.sources.latest import FrameReader, LatestFrame
from edge.sources.settings import SourceSettings
from testbed.clips import Clip, numbered_image, read_clip, read_number, write_clip
from testbed.rtsp_server import RtspServer

PICTURES = 500
"""Pictures in the clip; each carries its number, so that missing ones can be counted."""
BAD = ("garbage", "frozen", "dead")
MOST_MISSED = 0.01
BACK_WITHIN_S = 2.0
SETTINGS = SourceSettings(first_must_connect=False)


class CountingDoor(LatestFrame):
    """A door that notes the number drawn into every picture, and when the last one came."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: list[int] = []
        self.sessions: list[int] = []

    def put(self, frame: Frame, *, replace: bool = True) -> bool:
        with self.bell:
            self.numbers.append(read_number(frame.image))
            self.sessions.append(frame.session)
            return super().put(frame, replace=replace)

    def wait_for_session(self, session: int) -> None:
        """Wait for the first picture after a reconnect."""
        with self.bell:
            if not self.bell.wait_for(lambda: self.sessions and self.sessions[-1] >= session, 120):
                raise SystemExit("a camera did not come back in two minutes")

    def missed_share(self) -> float:
        """Share of the pictures between the first and the last one that did not come."""
        steps = [(later - earlier) % PICTURES for earlier, later in pairwise(self.numbers)]
        return sum(step - 1 for step in steps) / max(sum(steps), 1)


@contextmanager
def reading(url: str) -> Iterator[tuple[FrameReader, CountingDoor]]:
    """A reader at work on a camera."""
    door = CountingDoor()
    reader = FrameReader(open_source(url, settings=SETTINGS), door)
    reader.start()
    try:
        yield reader, door
    finally:
        reader.close(20)


def beside_bad_ones(clip: Clip, good_cameras: int, seconds: float) -> tuple[list[float], dict[str, str]]:
    """Missed shares of the good cameras, and states of the bad ones."""
    with ExitStack() as stack:
        good, garbage, frozen, dead = (stack.enter_context(RtspServer({"camera": clip})) for _ in range(4))
        garbage.fault, frozen.fault = "garbage", "frozen"
        dead.stop()
        urls = [good.url()] * good_cameras + [garbage.url(), frozen.url(), dead.url()]
        readers = [stack.enter_context(reading(url)) for url in urls]
        for _, door in readers[:good_cameras]:
            door.wait_for_session(0)
        for _ in trange(round(seconds), unit="s", disable=None):
            time.sleep(1)
        states = [f"{reader.state.phase}: {reader.state.code}" for reader, _ in readers[good_cameras:]]
    missed = [door.missed_share() for _, door in readers[:good_cameras]]
    return missed, dict(zip(BAD, states, strict=True))


def times_to_return(clip: Clip, times: int) -> list[float]:
    """Seconds from the return of a camera that was away for a while to its next picture."""
    back_s = []
    with RtspServer({"camera": clip}) as camera, reading(camera.url()) as (_, door):
        for session in trange(1, times + 1, unit="kill", disable=None):
            door.wait_for_session(session - 1)
            camera.stop()
            time.sleep(1.0 + 1.7 * session)  # longer and longer: the waits have grown by then
            begin_s = time.monotonic()
            camera.start()
            door.wait_for_session(session)
            back_s.append(time.monotonic() - begin_s)
    return back_s


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, save; 0 when both promises hold."""
    parser = command("cameras", __doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of watching the sixteen")
    parser.add_argument("--cameras", type=int, default=16, help="all of them; three are bad")
    parser.add_argument("--fps", type=float, default=15.0, help="frames per second of each")
    parser.add_argument("--size", default="320x192", metavar="WxH", help="network input")
    parser.add_argument("--kills", type=int, default=5, help="how often a camera is killed and comes back")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for cameras.json")
    options = parser.parse_args(arguments)
    width, height = map(int, options.size.split("x"))
    with tempfile.TemporaryDirectory() as folder, DECODERS:
        pictures = (numbered_image(number, width, height) for number in range(PICTURES))
        clip = read_clip(write_clip(Path(folder) / "clip.mp4", pictures, options.fps, gop=int(options.fps)))
        missed, states = beside_bad_ones(clip, options.cameras - len(BAD), options.seconds)
        back_s = times_to_return(clip, options.kills)
    failures = [f"a good camera missed {share:.1%}" for share in missed if share > MOST_MISSED]
    failures += [f"a killed camera was back after {s:.1f} s" for s in back_s if s > BACK_WITHIN_S]
    result = {"cameras": options.cameras, "frame_rate": options.fps, "size": options.size, "seconds": options.seconds}
    result |= {"missed_share": missed, "states": states, "back_s": [round(s, 2) for s in back_s], "failures": failures}
    return save_verdict("cameras", {"conditions": conditions()}, result, options.output)


if __name__ == "__main__":
    sys.exit(main())
