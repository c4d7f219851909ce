from pathlib import Path

import numpy as np
import onnx
import pytest

from engines.errors import DeviceError, EngineError, ModelFileError
from engines.host import HostDevice
from engines.load import load_engine, open_device
from tests.support.tiny_pair import signature, tiny_model


@pytest.mark.parametrize("name", ["cpu", "auto"])
def test_the_host_is_a_device(name: str) -> None:
    assert open_device(name).name == "cpu"


@pytest.mark.parametrize(("name", "remedy"), [("cuda", "on the CPU only"), ("tpu", "use 'cpu', 'cuda' or 'auto'")])
def test_a_device_that_is_not_there_is_refused_with_the_remedy(name: str, remedy: str) -> None:
    with pytest.raises(DeviceError, match=remedy):
        open_device(name)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"expected a \.onnx file"):
        load_engine(tmp_path / "model.plan", HostDevice())


def test_an_onnx_file_becomes_an_engine_that_knows_its_signature(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(tiny_model(signature("teacher", (128, 96))), path)
    assert load_engine(path, HostDevice(), threads=1).signature == signature("teacher", (128, 96))


def test_every_error_is_an_engine_error() -> None:
    assert issubclass(DeviceError, EngineError)
    assert issubclass(ModelFileError, EngineError)


def test_the_host_copies_now_and_never_converts() -> None:
    device = HostDevice()
    stream = device.cuda_stream()
    source, out = np.arange(6, dtype=np.float32).reshape(2, 3), device.host_empty((2, 3), np.float32)
    device.copy(source, out, stream)
    source[:] = 0
    assert out.tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(TypeError):
        device.copy(source.astype(np.float64), out, stream)
    event = stream.record()
    stream.wait(event)
    event.synchronize()
    stream.synchronize()
