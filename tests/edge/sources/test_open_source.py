import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from edge.sources import SourceError, open_source
from edge.sources.camera import CameraSource
from edge.sources.synthetic import SyntheticSource
from edge.sources.video import RealTime, VideoFile


@pytest.mark.parametrize("url", ["ftp://camera/x", "exec:///bin/sh", "concat://a|b", "udp://1.2.3.4:5"])
def test_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(SourceError, match="synthetic") as caught:
        open_source(url)
    assert caught.value.code == "scheme_not_allowed"


def test_empty_address_is_refused() -> None:
    with pytest.raises(SourceError):
        open_source("")


def test_address_chooses_the_source(numbered_clip: Path) -> None:
    assert isinstance(open_source("RTSP://camera/x"), CameraSource)
    assert isinstance(open_source(numbered_clip), VideoFile)
    assert isinstance(open_source(numbered_clip.as_uri()), VideoFile)
    assert isinstance(open_source("synthetic://?people=2&width=320&height=192&fps=5&frames=3"), SyntheticSource)


def test_real_time_plays_at_the_pace_of_the_scene() -> None:
    source = open_source("synthetic://?people=1&width=320&height=192&fps=20&frames=9", real_time=True)
    assert isinstance(source, RealTime) and source.live and source.frame_count == 9
    began = time.monotonic()
    frames = list(source)
    assert time.monotonic() - began >= 8 / 20
    assert len(frames) == 9
    assert (np.diff([frame.captured_at_s for frame in frames]) > 0).all()
    assert source.state.phase == "ended"


def test_real_time_ends_at_once_when_closed() -> None:
    source = open_source("synthetic://?people=0&width=320&height=192&fps=0.1", real_time=True)
    frames = iter(source)
    next(frames)
    source.close()
    assert list(islice(frames, 1)) == []


def test_patient_scene_waits_for_its_reader_and_does_not_hurry_afterwards() -> None:
    source = open_source("synthetic://?people=0&width=320&height=192&fps=20&frames=4&patient=1", real_time=True)
    assert not source.live
    frames = iter(source)
    next(frames)
    time.sleep(0.5)
    next(frames)
    began = time.monotonic()
    assert len(list(frames)) == 2
    assert time.monotonic() - began >= 1.5 / 20
