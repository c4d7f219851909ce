"""The measurement of training runs on tiny data, for a network alone and for one beside its teacher."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from training import throughput

RECIPE = """
pair = "tiny"
network = "yolo-1/8"
steps = 9
warmup = 0
batch = 2
input_width = 96
input_height = 64
sequences = ["seq"]
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "sequences" / "seq"
    (folder / "img1").mkdir(parents=True)
    for number in range(1, 5):
        cv2.imwrite(str(folder / "img1" / f"{number:06d}.jpg"), np.full((64, 96, 3), 90, np.uint8))
    (folder / "gt.txt").write_text("\n".join(f"{number},1,{10 + number},21,12,30,1,1,1" for number in range(1, 5)))
    (folder / "seqinfo.ini").write_text("[Sequence]\nseqLength=8\n")
    return tmp_path / "data"


@pytest.mark.parametrize("more", ["", 'teacher = "heavy"', 'teacher = "heavy"\ntransfer = "layerwise"'])
def test_rates_of_loader_and_network_are_measured(tmp_path: Path, data: Path, more: str) -> None:
    (tmp_path / "light.toml").write_text(RECIPE + more)
    (tmp_path / "heavy.toml").write_text(RECIPE)
    words = [str(tmp_path / "light.toml"), "--data", str(data), "--out", str(tmp_path / "out"), "--device", "cpu"]
    throughput.main([*words, "--steps", "2"])
    result = json.loads((tmp_path / "out" / "throughput.json").read_text())
    rates = [result[f"{part}_samples_per_s"] for part in ("loader", "network", "both")]
    assert all(rate > 0 for rate in rates)
    assert 0 < result["share_computing"] <= 1
    assert (result["batch"], result["pictures"], result["device"]) == (2, 4, "cpu")
    assert result["teacher"] == ("yolo-1/8" if more else None)


def test_what_is_measured_waits_for_the_device_and_counts_no_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 14.0])
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: next(clock))
    given = []

    def batches():
        while True:
            given.append(1)
            yield {"image": torch.zeros(1)}

    assert throughput._timed(batches(), throughput.Measured(None, batch=6, steps=2)) == 3.0
    assert len(given) == 2 + throughput.WARM


def test_no_steps_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        throughput.main(["x.toml", "--data", str(tmp_path), "--out", str(tmp_path), "--steps", "0"])
    assert "at least 1" in capsys.readouterr().err
