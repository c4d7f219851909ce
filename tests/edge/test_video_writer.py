from pathlib import Path

import av
import numpy as np
import pytest

from edge.video_writer import VideoWriter


def _read(path: Path) -> tuple[str, list[float], list[np.ndarray]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        return (
            stream.codec_context.name,
            [float(f.time or 0) for f in frames],
            [f.to_ndarray(format="bgr24") for f in frames],
        )


def test_a_video_without_frames_can_be_closed(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "empty.mp4"):
        pass
    assert (tmp_path / "empty.mp4").exists()


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "h264"), ("a.webm", "vp8")])
def test_pictures_and_their_times_come_back(tmp_path: Path, name: str, codec: str) -> None:
    times_s = [10.0, 10.033, 10.1, 10.133, 10.5]
    with VideoWriter(tmp_path / name) as video:
        for index, time_s in enumerate(times_s):
            video.write(np.full((64, 96, 3), 40 * index + 20, np.uint8), time_s)
    found, seconds, images = _read(tmp_path / name)
    assert found == codec
    assert seconds == pytest.approx([t - 10 for t in times_s], abs=2e-3)
    assert [image.shape for image in images] == [(64, 96, 3)] * 5
    assert [int(image.mean()) for image in images] == pytest.approx([20, 60, 100, 140, 180], abs=8)


def test_odd_sizes_changing_sizes_and_equal_times_are_written_too(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4") as video:
        for shape, time_s in (((65, 97), 0.0), ((40, 50), 0.0), ((65, 97), 0.0)):
            video.write(np.zeros((*shape, 3), np.uint8), time_s)
    _, seconds, images = _read(tmp_path / "a.mp4")
    assert len(seconds) == len(set(seconds)) == 3
    assert images[0].shape == (64, 96, 3)


def test_another_container_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ends in \.mp4 or \.webm, got 'a\.avi'"):
        VideoWriter(tmp_path / "a.avi")


def test_a_folder_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        VideoWriter(tmp_path / "nowhere" / "a.mp4")


@pytest.mark.parametrize("name", ["a.mp4", "A.MP4"])
def test_a_browser_can_play_it_from_the_first_byte_on(tmp_path: Path, name: str) -> None:
    """H.264 in 4:2:0, whose index stands in front of the pictures."""
    with VideoWriter(tmp_path / name) as video:
        for index in range(120):
            video.write(np.full((64, 96, 3), 2 * index, np.uint8), index / 25)
    data = (tmp_path / name).read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")
    with av.open(str(tmp_path / name)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt, stream.frames) == ("h264", "yuv420p", 120)
        assert sum(packet.is_keyframe for packet in container.demux(stream)) >= 3
