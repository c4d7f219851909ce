"""All kernels compile for every target, once, and stay within what they may take of a GPU."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge.ops.kernels import build as kernels
from edge.ops.kernels.build import KERNELS, SOURCES, TARGETS, build, image_path, kernel_image, main, source
from engines.errors import DeviceError
from engines.nvrtc import compile_program

MOST_REGISTERS = {"letterbox": 64, "own": 48, "move_begin": 40, "move_end": 40}
"""Of a thread: a processor's 65536 then hold 1024 threads of the largest kernel."""
nvrtc = pytest.importorskip("cuda.bindings.nvrtc", reason="no bindings: pip install cuda-core cuda-bindings")


@pytest.fixture(scope="module")
def programs() -> dict[str, tuple[bytes, str]]:
    """Of each target: the program, and what the assembler says of it."""
    try:
        return {target: compile_program(source(), "kernels.cu", target, ("-v",)) for target in TARGETS}
    except DeviceError as error:
        pytest.skip(str(error))


def test_every_kernel_that_is_loaded_is_in_the_sources() -> None:
    for name in KERNELS:
        assert source().count(f'extern "C" __global__ void {name}(') == 1
    assert source().count("__global__") == len(KERNELS)


@pytest.mark.parametrize("target", TARGETS)
def test_all_kernels_compile_for_every_target(programs: dict[str, tuple[bytes, str]], target: str) -> None:
    program, _ = programs[target]
    assert program.startswith(b"\x7fELF")
    assert all(name.encode() in program for name in KERNELS)


@pytest.mark.parametrize("target", TARGETS)
def test_no_kernel_takes_more_registers_than_it_may_nor_spills_any(
    programs: dict[str, tuple[bytes, str]], target: str
) -> None:
    said = programs[target][1]
    taken = dict(re.findall(r"entry function '(\w+)'.*?Used (\d+) registers", said, re.DOTALL))
    assert {name: int(taken[name]) <= most for name, most in MOST_REGISTERS.items()} == dict.fromkeys(KERNELS, True)
    assert set(re.findall(r"(\d+) bytes (?:stack frame|spill)", said)) == {"0"}


def test_a_kernel_that_does_not_compile_is_refused_with_what_the_compiler_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wrong.cu").write_text("__global__ void wrong() { nothing(); }")
    monkeypatch.setattr(kernels, "SOURCES", (tmp_path / "wrong.cu",))
    with pytest.raises(DeviceError, match=r"(?s)NVRTC cannot compile kernels.cu: .*wrong\.cu.*nothing"):
        build("90", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["wrong.cu"]


def test_a_warning_is_an_error() -> None:
    with pytest.raises(DeviceError, match=r"(?s)not content with unused.cu: .*warning.*declared but never referenced"):
        compile_program("__global__ void unused() { int one = 1; }", "unused.cu", "90")


def test_the_program_is_made_once_where_it_may_be_written_and_named_after_its_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, cache = tmp_path / "image", tmp_path / "cache"
    compiled: list[str] = []
    monkeypatch.setattr(kernels, "compile_program", lambda *given: (compiled.append(given[2]) or b"program", ""))
    assert kernel_image("90", (image, cache)) == kernel_image("90", (image, cache)) == b"program"
    assert compiled == ["90"] and not image.exists() and image_path("90", cache).is_file()
    image.mkdir()
    image_path("90", image).write_bytes(b"built with the image")
    assert kernel_image("90", (image, cache)) == b"built with the image"
    monkeypatch.setattr(kernels, "SOURCES", SOURCES[:1])
    assert image_path("90", image).name != next(image.iterdir()).name


def test_an_image_has_the_programs_of_all_targets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    compiled: list[str] = []
    monkeypatch.setattr(kernels, "compile_program", lambda *given: (compiled.append(given[2]) or b"program", ""))
    assert main(["--output", str(tmp_path)]) == main(["--output", str(tmp_path)]) == 0
    assert compiled == [*TARGETS], "what is there is not built again"
    assert main(["--output", str(tmp_path), "--again"]) == 0 and compiled == [*TARGETS, *TARGETS]
    assert str(tmp_path) in capsys.readouterr().out


def test_without_a_compiler_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> None:
        raise RuntimeError("Failure finding libnvrtc.so")

    monkeypatch.setattr(nvrtc, "nvrtcGetSupportedArchs", missing)
    with pytest.raises(DeviceError, match="pip install nvidia-cuda-nvrtc"):
        kernel_image("90", (tmp_path,))
    assert main(["--output", str(tmp_path)]) == 2
    assert "there is no NVRTC" in capsys.readouterr().err


def test_a_gpu_that_is_too_old_is_refused_and_one_that_is_too_new_gets_the_newest_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(DeviceError, match=r"compiles for sm_\d+ and newer, not for sm_50"):
        compile_program(source(), "kernels.cu", "50")
    asked: list[str] = []

    class Program:
        def __init__(self, code: str, kind: str, options: object) -> None:
            asked.append(options.arch)

        def compile(self, kind: str, logs: object) -> object:
            asked.append(kind)
            return SimpleNamespace(code=b".version 9.0")

    monkeypatch.setattr("cuda.core.Program", Program)
    assert compile_program(source(), "kernels.cu", "999")[0] == b".version 9.0"
    assert asked[0].startswith("compute_1") and asked[1] == "ptx"
