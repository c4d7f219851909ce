"""VideoFeed: encoded only when asked, once for all, never older than asked for."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import cv2
import numpy as np
import pytest

from edge.pipeline.pipeline import TrackedFrame
from edge.sources.base import Frame
from edge.tracking.detections import Tracks
from service.tracks import video
from service.tracks.video import FeedClosed, VideoFeed, VideoSettings, to_jpeg

SETTINGS = VideoSettings(fps=1000, max_width=1280, quality=90)


def tracked(shade: int) -> TrackedFrame:
    frame = Frame(np.full((48, 64, 3), shade, np.uint8), shade, shade / 25, 0.0, "host")
    tracks = Tracks(
        ids=np.array([1]),
        xyxy=np.array([[10, 10, 50, 40]], np.float32),
        scores=np.ones(1, np.float32),
        states=np.ones(1, np.uint8),
        velocities=np.zeros((1, 2), np.float32),
        ages_s=np.zeros(1, np.float32),
        unseen_s=np.zeros(1, np.float32),
        detection=np.zeros(1, np.int32),
    )
    return TrackedFrame("door", frame, tracks, "teacher", 0)


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with every JPEG that is made."""
    made: list[int] = []
    real = video.to_jpeg

    def counting(*arguments: Any) -> bytes:
        made.append(1)
        return real(*arguments)

    monkeypatch.setattr(video, "to_jpeg", counting)
    return made


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 10))


def decode(jpeg: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def test_feed_without_frames_has_no_picture(encoded: list[int]) -> None:
    async def scene() -> None:
        feed = VideoFeed(asyncio.get_running_loop(), SETTINGS)
        assert await feed.newest("plain") is None

    run(scene())
    assert not encoded


def test_nothing_is_encoded_while_nobody_watches(encoded: list[int]) -> None:
    async def scene() -> None:
        feed = VideoFeed(asyncio.get_running_loop(), SETTINGS)
        for seq in range(1, 100):
            feed.offer(seq, tracked(seq))
        await asyncio.sleep(0)

    run(scene())
    assert not encoded


def test_one_encoding_serves_all_who_watch(encoded: list[int]) -> None:
    async def scene() -> None:
        feed = VideoFeed(asyncio.get_running_loop(), SETTINGS)
        watchers = [asyncio.create_task(feed.newer_than(0, "annotated")) for _ in range(20)]
        await asyncio.sleep(0)
        await asyncio.to_thread(feed.offer, 1, tracked(1))
        assert {picture.seq for picture in await asyncio.gather(*watchers)} == {1}
        assert (await feed.newest("annotated")).seq == 1  # type: ignore[union-attr]

    run(scene())
    assert len(encoded) == 1


def test_watcher_gets_only_newer_pictures(encoded: list[int]) -> None:
    async def scene() -> None:
        feed = VideoFeed(asyncio.get_running_loop(), SETTINGS)
        feed.offer(5, tracked(5))
        assert (await feed.newer_than(0, "plain")).seq == 5
        waiting = asyncio.create_task(feed.newer_than(5, "plain"))
        await asyncio.sleep(0)
        assert not waiting.done()
        feed.offer(6, tracked(6))
        feed.offer(9, tracked(9))
        assert (await waiting).seq == 9

    run(scene())


def test_plain_picture_has_no_boxes_and_the_annotated_leaves_the_frame_alone() -> None:
    async def scene() -> None:
        feed = VideoFeed(asyncio.get_running_loop(), SETTINGS)
        one = tracked(120)
        feed.offer(1, one)
        plain, annotated = await feed.newest("plain"), await feed.newest("annotated")
        assert plain is not None
        assert annotated is not None
        assert np.ptp(decode(plain.jpeg).astype(int)) <= 4
        assert np.ptp(decode(annotated.jpeg).astype(int)) > 60
        assert (one.frame.image == 120).all()

    run(scene())


def test_closing_ends_all_that_wait() -> None:
    async def scene() -> None:
        feed = VideoFeed(asyncio.get_running_loop(), SETTINGS)
        waiting = asyncio.create_task(feed.newer_than(0, "plain"))
        await asyncio.sleep(0)
        feed.close()
        with pytest.raises(FeedClosed):
            await waiting
        with pytest.raises(FeedClosed):
            await feed.newer_than(0, "plain")

    run(scene())


def test_wide_picture_is_scaled_down() -> None:
    image = np.zeros((200, 400, 3), np.uint8)
    assert decode(to_jpeg(image, 100, 80)).shape == (50, 100, 3)
    assert decode(to_jpeg(image, 500, 80)).shape == (200, 400, 3)
