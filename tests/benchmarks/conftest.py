"""A sequence folder that the tiny pair can follow."""

from pathlib import Path

import cv2
import pytest

from tests.support.drawn import Drawn

FRAMES = 14


@pytest.fixture(scope="session")
def crossing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DATA/sequences/MOT17-09: three walkers for 14 frames, two of whom meet."""
    scene = Drawn(((100, 200), (500, 210), (320, 100)), ((400, 0), (-380, 0), (0, 300)))
    folder = tmp_path_factory.mktemp("data") / "sequences" / "MOT17-09"
    (folder / "img1").mkdir(parents=True)
    rows = []
    for index in range(FRAMES):
        frame = scene.frame(index)
        cv2.imwrite(str(folder / "img1" / f"{index + 1:06d}.png"), frame.image)
        for identity, (left, top, right, bottom) in enumerate(scene.xyxy(frame.time_s).tolist(), start=1):
            rows.append(f"{index + 1},{identity},{left + 1},{top + 1},{right - left},{bottom - top},1,1,1\n")
    (folder / "gt.txt").write_text("".join(rows))
    info = f"name=MOT17-09\nimDir=img1\nframeRate=30\nseqLength={FRAMES}\nimWidth=640\nimHeight=384\nimExt=.png\n"
    (folder / "seqinfo.ini").write_text(f"[Sequence]\n{info}")
    return folder
