import pytest

from engines.host import HostDevice
from tests.support.scripted_engine import Arrays, ScriptedEngine
from tests.support.tiny_pair import signature

STREAM = HostDevice().cuda_stream()


def test_the_script_is_played_once_per_image_on_fresh_outputs() -> None:
    seen: list[float] = []

    def script(inputs: Arrays, outputs: Arrays) -> None:
        assert inputs["image"].shape == (3, 96, 128)
        assert not any(array.any() for array in outputs.values())
        seen.append(float(inputs["prior"].max()))
        outputs["scores"][0] = inputs["image"].mean()

    execution = ScriptedEngine(signature("student", (128, 96), prior=True), script).prepare(3)
    execution.inputs["prior"][1] = 0.5
    execution.inputs["image"][1] = 7
    for _ in range(2):
        execution.run(2, STREAM)
    assert seen == [0.0, 0.5, 0.0, 0.5]
    assert execution.outputs["scores"][:, 0].tolist() == [0, 7, 0]
    assert execution.batches == [2, 2]
    with pytest.raises(ValueError, match=r"batch must be 1\.\.3"):
        execution.run(4, STREAM)
