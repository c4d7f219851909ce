"""Asking a network once per picture changes no score, and is once per picture."""

from pathlib import Path

import pytest

from benchmarks.accuracy import evaluate
from benchmarks.arms import ARMS, open_pipelines, variants
from benchmarks.once_per_picture import OncePerPicture, once_per_picture
from edge.pipeline.backend import Backend, open_backend
from engines.host import HostStream
from engines.signature import IMAGE
from tests.support.scripted_engine import ScriptedEngine
from tests.support.tiny_pair import signature, write_tiny_pair

SIZE = (320, 192)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Backend:
    folder = tmp_path_factory.mktemp("pair")
    write_tiny_pair(folder, SIZE)
    return open_backend(folder, SIZE, "cpu", pair="tiny", threads=1)


def test_every_score_is_the_same_as_when_each_pipeline_asks_for_itself(tiny: Backend, crossing: Path) -> None:
    chosen = variants(ARMS, [2, 3, 5])
    apart = evaluate([crossing], "all", open_pipelines(chosen, tiny))
    once = evaluate([crossing], "all", open_pipelines(chosen, once_per_picture(tiny)))
    records = {str(variant): scores["pooled"].as_record() for variant, scores in apart.items()}
    assert {str(variant): scores["pooled"].as_record() for variant, scores in once.items()} == records
    assert records["teacher"]["mota"] > 0.9
    assert len({record["mota"] for record in records.values()}) > 1


def test_a_picture_is_looked_at_once_and_again_after_another() -> None:
    looked: list[int] = []

    def script(inputs, outputs) -> None:
        looked.append(int(inputs[IMAGE][0, 0, 0]))
        outputs["scores"][0] = inputs[IMAGE][0, 0, 0]

    engine = OncePerPicture(ScriptedEngine(signature("teacher", SIZE), script))
    first, second = engine.prepare(1), engine.prepare(2)
    for value, execution in ((0, first), (0, second), (7, first), (7, second), (0, first)):
        execution.inputs[IMAGE][0] = value
        execution.run(1, HostStream())
        assert execution.outputs["scores"][0, 0] == value
    assert looked == [0, 7, 0]
    second.inputs[IMAGE][0], second.inputs[IMAGE][1] = 3, 4
    second.run(2, HostStream())
    assert second.outputs["scores"][:, 0].tolist() == [3, 4]
    with pytest.raises(ValueError, match=r"1\.\.2"):
        second.run(3, HostStream())


def test_the_student_with_prior_is_left_alone(tiny: Backend) -> None:
    once = once_per_picture(tiny)
    assert once.student is tiny.student
    assert isinstance(once.teacher, OncePerPicture)
    assert isinstance(once.plain, OncePerPicture)
