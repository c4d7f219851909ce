import struct
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

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


WRITERS = {"mp4": "libx264", "mov": "libx264", "mkv": "libx264", "avi": "libx264", "flv": "libx264", "webm": "libvpx"}
COUNT = 50


def film(path: Path, count: int = COUNT, codec: str = "libx264", **options: object) -> Path:
    """Numbered pictures at 25 a second. `stored`: what is done to each; `time_s`: a picture's time by its number."""
    stored, time_s = options.get("stored", lambda image: image), options.get("time_s", lambda number: number / 25)
    tick = Fraction(1, 25 if path.suffix == ".avi" else 1000)
    front = {"movflags": "faststart"} if path.suffix in (".mp4", ".mov") else {}
    with av.open(str(path), "w", options=front) as container:
        stream = None
        for number in range(count):
            image = stored(numbered_image(number))  # type: ignore[operator]
            if stream is None:
                stream = container.add_stream(codec, rate=Fraction(25))
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt, stream.codec_context.gop_size, stream.codec_context.max_b_frames = "yuv420p", 10, 0
                stream.codec_context.time_base = tick
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
            frame.pts, frame.time_base = round(time_s(number) / tick), tick  # type: ignore[operator]
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_whole_film_is_not_said_to_be_cut(tmp_path: Path, suffix: str) -> None:
    source = VideoFile(film(tmp_path / f"whole.{suffix}", codec=WRITERS[suffix]))
    assert len(list(source)) == COUNT
    assert (source.state.phase, source.state.code) == ("ended", None)


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_a_film_that_was_cut_off_says_how_much_is_missing(tmp_path: Path, suffix: str, share: float) -> None:
    path = film(tmp_path / f"cut.{suffix}", codec=WRITERS[suffix])
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    source = VideoFile(path)
    count = len(list(source))
    assert 0 < count < COUNT
    assert (source.state.phase, source.state.code) == ("ended", "ends_early")
    if suffix == "flv":  # which tells a duration, and pictures only by it
        assert "are missing" in (source.state.message or "")
    else:
        assert f"{count} of {COUNT} pictures" in (source.state.message or "")
        assert f"{COUNT - count} are missing" in (source.state.message or "")


def test_a_film_without_a_picture_left_is_no_video(tmp_path: Path) -> None:
    path = film(tmp_path / "none.mp4")
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"mdat") + 40])
    source = VideoFile(path)
    with pytest.raises(SourceError, match=f"of the {COUNT} pictures that it announces none can be read"):
        list(source)
    assert source.state.phase == "failed" and source.state.code == "no_video"


def test_a_film_that_its_reader_leaves_early_is_not_said_to_be_cut(tmp_path: Path) -> None:
    source = VideoFile(film(tmp_path / "whole.mp4"))
    for frame in source:
        if frame.index == 5:
            source.close()
    assert (source.state.phase, source.state.code) == ("ended", None)


def test_a_film_shortened_by_an_edit_list_is_whole(tmp_path: Path) -> None:
    """As phones write it: the file has pictures that it says are not to be shown."""
    path, shown = film(tmp_path / "edited.mp4"), tmp_path / "shown.mp4"
    with av.open(str(path)) as source, av.open(str(shown), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                packet.pts, packet.dts = packet.pts - 4 * packet.duration, packet.dts - 4 * packet.duration
                target.mux(packet)
    edited = VideoFile(shown)
    count = len(list(edited))
    assert 40 <= count <= COUNT and edited.state.code is None


ONE, LAST = 1 << 16, 1 << 30
TURNS = {  # how the pictures are stored, and the matrix that undoes it
    "upright": (lambda image: image, (ONE, 0, 0, 0, ONE, 0, 0, 0, LAST)),
    "mirrored left and right": (lambda image: image[:, ::-1], (-ONE, 0, 0, 0, ONE, 0, 0, 0, LAST)),
    "mirrored up and down": (lambda image: image[::-1], (ONE, 0, 0, 0, -ONE, 0, 0, 0, LAST)),
    "half turned": (lambda image: image[::-1, ::-1], (-ONE, 0, 0, 0, -ONE, 0, 0, 0, LAST)),
    "turned left": (lambda image: np.rot90(image), (0, ONE, 0, -ONE, 0, 0, 0, 0, LAST)),
    "turned right": (lambda image: np.rot90(image, -1), (0, -ONE, 0, ONE, 0, 0, 0, 0, LAST)),
    "transposed": (lambda image: image.swapaxes(0, 1), (0, ONE, 0, ONE, 0, 0, 0, 0, LAST)),
    "transposed the other way": (
        lambda image: image[::-1, ::-1].swapaxes(0, 1),
        (0, -ONE, 0, -ONE, 0, 0, 0, 0, LAST),
    ),
    "upright to a degree": (lambda image: image, (65526, 1144, 0, -1144, 65526, 0, 0, 0, LAST)),
    "of no matrix at all": (lambda image: image, (0, 0, 0, 0, 0, 0, 0, 0, LAST)),
}


@pytest.mark.parametrize(("stored", "matrix"), TURNS.values(), ids=TURNS.keys())
def test_films_stand_upright_however_they_are_stored(tmp_path: Path, stored: object, matrix: tuple[int, ...]) -> None:
    path = film(tmp_path / "film.mp4", 3, stored=stored)
    data = path.read_bytes()
    at = data.index(struct.pack(">9i", *TURNS["upright"][1]), data.index(b"tkhd"))
    path.write_bytes(data[:at] + struct.pack(">9i", *matrix) + data[at + 36 :])
    for number, frame in enumerate(VideoFile(path)):
        assert frame.image.shape == numbered_image(0).shape and frame.image.flags.c_contiguous
        assert read_number(frame.image) == number
        difference = abs(frame.image.astype(int) - numbered_image(number))
        assert difference.mean() < 12


def test_a_preview_picture_is_not_taken_for_the_film(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 640, 480, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 192, "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.full((480, 640, 3), 90, np.uint8), format="bgr24")
        container.mux(cover.encode(picture))
        for number in range(20):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered_image(number), format="bgr24")))
        container.mux(stream.encode(None))
    frames = list(VideoFile(path))
    assert [read_number(frame.image) for frame in frames] == list(range(20))


def test_transport_streams_put_together_last_as_long_as_they_play(tmp_path: Path) -> None:
    parts = [film(tmp_path / f"{number}.ts", 40) for number in range(2)]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    times_s = np.array([frame.time_s for frame in VideoFile(joined)])
    assert len(times_s) >= 78  # a decoder may lose a picture at the seam
    np.testing.assert_allclose(np.diff(times_s), 0.04, atol=0.03)
    assert times_s[-1] < 3.4


def test_a_hole_of_minutes_in_a_recording_is_played_over(tmp_path: Path) -> None:
    path = film(tmp_path / "hole.mkv", 40, time_s=lambda number: number / 25 + 600 * (number >= 20))
    times_s = np.array([frame.time_s for frame in VideoFile(path)])
    assert len(times_s) == 40 and np.diff(times_s).max() < 0.1


@pytest.mark.parametrize("kind", ["interlaced", "10 bit", "H.265", "VP9", "MPEG-2"])
def test_films_of_other_kinds_are_read_to_their_last_picture(tmp_path: Path, kind: str) -> None:
    codec, pixels, options = {
        "interlaced": ("libx264", "yuv420p", {"x264-params": "interlaced=1:bframes=2"}),
        "10 bit": ("libx264", "yuv420p10le", {}),
        "H.265": ("libx265", "yuv420p10le", {"x265-params": "log-level=none:bframes=2"}),
        "VP9": ("libvpx-vp9", "yuv420p", {"deadline": "realtime", "cpu-used": "8"}),
        "MPEG-2": ("mpeg2video", "yuv420p", {"qscale": "2"}),
    }[kind]
    path = tmp_path / ("film.ts" if kind == "MPEG-2" else "film.mkv")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 192, pixels
        for number in range(30):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered_image(number), format="bgr24")))
        container.mux(stream.encode(None))
    source = VideoFile(path)
    frames = list(source)
    assert [read_number(frame.image) for frame in frames] == list(range(30))
    np.testing.assert_allclose(np.diff([frame.time_s for frame in frames]), 0.04, atol=2e-3)
    assert source.state.code is None
