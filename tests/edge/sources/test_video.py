import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from edge.sources import SourceError, open_source
from edge.sources.settings import SourceSettings
from edge.sources.video import VideoFile
from testbed.clips import numbered_image, read_number
from tests.conftest import CLIP_FRAMES


def test_file_without_frames_is_no_video(tmp_path: Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.write_bytes(b"")
    with pytest.raises(SourceError) as caught:
        open_source(empty)
    assert caught.value.code == "no_video"


@pytest.mark.parametrize("threads", [1, 4])
def test_every_frame_comes_in_order_with_its_own_time(numbered_clip: Path, threads: int) -> None:
    source = VideoFile(numbered_clip, SourceSettings(decoder_threads=threads))
    assert (source.live, source.frame_rate, source.frame_count) == (False, 25.0, CLIP_FRAMES)
    frames = list(source)
    assert [read_number(frame.image) for frame in frames] == list(range(CLIP_FRAMES))
    assert [frame.index for frame in frames] == list(range(CLIP_FRAMES))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(CLIP_FRAMES) / 25)
    assert frames[0].clock == "media" and frames[0].pts == 0
    assert frames[0].image.flags.c_contiguous and frames[0].image.dtype == np.uint8
    assert source.state.phase == "ended"


def test_colours_are_blue_green_red(numbered_clip: Path) -> None:
    pixel = list(VideoFile(numbered_clip))[20].image[150, 50].astype(int)
    np.testing.assert_allclose(pixel, numbered_image(20)[150, 50], atol=12)


def test_bidirectional_frames_come_in_the_order_they_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "b.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt, stream.max_b_frames = 320, 192, "yuv420p", 3
        for number in range(40):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered_image(number), format="bgr24")))
        container.mux(stream.encode(None))
    frames = list(VideoFile(path))
    assert [read_number(frame.image) for frame in frames] == list(range(40))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(40) / 25)


def test_raw_stream_without_time_stamps_gets_increasing_times(numbered_clip: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw.h264"
    with av.open(str(numbered_clip)) as source, av.open(str(raw), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    frames = list(VideoFile(raw))
    assert [read_number(frame.image) for frame in frames] == list(range(CLIP_FRAMES))
    times = np.array([frame.time_s for frame in frames])
    assert times[0] == 0 and (np.diff(times) > 0).all()


def test_close_from_another_thread_ends_the_iteration(numbered_clip: Path) -> None:
    source = VideoFile(numbered_clip)
    seen = []
    for frame in source:
        seen.append(frame.index)
        if frame.index == 4:
            closer = threading.Thread(target=source.close)
            closer.start()
            closer.join()
    assert seen == [0, 1, 2, 3, 4]
    source.close()


@pytest.mark.parametrize("kind", ["missing", "text", "playlist", "audio"])
def test_what_is_no_video_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"{kind}.mp4"
    if kind == "text":
        path.write_text("no video at all\n" * 99)
    elif kind == "playlist":  # FFmpeg would follow it into the network
        path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n")
    elif kind == "audio":
        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=8000, layout="mono")
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
            sound.sample_rate = 8000
            container.mux(stream.encode(sound))
            container.mux(stream.encode(None))
    with pytest.raises(SourceError) as caught:
        open_source(str(path))
    assert caught.value.code == ("not_found" if kind == "missing" else "no_video")
    assert str(path) in str(caught.value)


def test_broken_bytes_in_the_middle_do_not_end_the_film(numbered_clip: Path, tmp_path: Path) -> None:
    data = bytearray(numbered_clip.read_bytes())
    middle = len(data) // 3
    data[middle : middle + 300] = bytes(300)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(data)
    numbers = [read_number(frame.image) for frame in VideoFile(broken)]
    assert len(numbers) > CLIP_FRAMES / 2 and numbers[-1] == CLIP_FRAMES - 1
