"""All kernels compile for every target, into one file, which is made once."""

from pathlib import Path

import pytest

from edge.ops.kernels.build import KERNELS, SOURCES, TARGETS, build, find_nvcc, image_path, kernel_image, main, source
from engines.errors import DeviceError


@pytest.fixture(scope="module")
def nvcc() -> Path:
    found = find_nvcc()
    if found is None:
        pytest.skip("no nvcc: install the CUDA toolkit, or `pip install nvidia-cuda-nvcc`")
    return found


@pytest.fixture(scope="module")
def built(nvcc: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("kernels") / "all.fatbin")


def test_every_kernel_that_is_loaded_is_in_the_sources() -> None:
    for name in KERNELS:
        assert source().count(f'extern "C" __global__ void {name}(') == 1
    assert source().count("__global__") == len(KERNELS)


def test_all_kernels_compile_for_all_targets_into_one_file(built: Path) -> None:
    image = built.read_bytes()
    assert image[:4] == b"\x50\xed\x55\xba", "the mark of a fat binary"
    assert image.count(b"\x7fELF") == len(TARGETS), "one program per target"
    for target in TARGETS:
        assert f"sm_{target}".encode() in image


def test_a_kernel_that_does_not_compile_is_refused_with_what_the_compiler_says(
    nvcc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wrong.cu").write_text("__global__ void wrong() { nothing(); }")
    monkeypatch.setattr("edge.ops.kernels.build.SOURCES", (tmp_path / "wrong.cu",))
    with pytest.raises(DeviceError, match=r"(?s)cannot compile the kernels: .*wrong\.cu.*nothing"):
        build(tmp_path / "out.fatbin", ("90",))
    assert [path.name for path in tmp_path.iterdir()] == ["wrong.cu"]


def test_the_image_is_made_once_and_named_after_its_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.ops.kernels.build.find_nvcc", lambda: None)
    path = image_path(tmp_path)
    path.write_bytes(b"built before")
    assert kernel_image(tmp_path) == b"built before"
    monkeypatch.setattr("edge.ops.kernels.build.SOURCES", SOURCES[:1])
    assert image_path(tmp_path) != path


def test_without_a_compiler_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("edge.ops.kernels.build.find_nvcc", lambda: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(DeviceError, match="pip install nvidia-cuda-nvcc"):
        kernel_image()
    assert main([]) == 2
    assert "there is no nvcc" in capsys.readouterr().err
    (tmp_path / "atttrack").mkdir()
    image_path().write_bytes(b"from another machine")
    assert main([]) == 0
    assert str(image_path()) in capsys.readouterr().out
    assert main(["--again"]) == 2, "there is still no compiler"


def compiler(folder: Path, *listed: str) -> Path:
    """An nvcc that knows so many GPUs, and writes down for which it compiled."""
    nvcc = folder / "nvcc"
    nvcc.write_text(
        '#!/bin/sh\nif [ "$1" = --list-gpu-code ]; then echo "' + " ".join(listed) + '"; exit; fi\n'
        'for word; do [ "$before" = -o ] && out=$word; before=$word; done; printf "%s\\n" "$@" > "$out"\n'
    )
    nvcc.chmod(0o755)
    return nvcc


def test_an_older_compiler_leaves_out_the_gpus_that_it_does_not_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jetpack6 = compiler(tmp_path, "sm_75", "sm_80", "sm_86", "sm_87", "sm_89", "sm_90")
    monkeypatch.setenv("NVCC", str(jetpack6))
    asked = [line for line in build(tmp_path / "some.fatbin").read_text().splitlines() if line.startswith("-gencode")]
    assert [line.rpartition("=")[2] for line in asked] == [
        "sm_75",
        "sm_80",
        "sm_86",
        "sm_87",
        "sm_89",
        "sm_90",
        "compute_90",
    ]


def test_a_compiler_that_knows_none_of_the_gpus_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NVCC", str(compiler(tmp_path, "sm_50", "sm_52")))
    with pytest.raises(DeviceError, match=r"compiles for none of sm_75.*\(sm_50 sm_52\); install CUDA"):
        build(tmp_path / "some.fatbin")


def test_nvcc_is_found_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NVCC", "/some/nvcc")
    assert find_nvcc() == Path("/some/nvcc")
    monkeypatch.delenv("NVCC")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "nvcc").touch()
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    assert find_nvcc() == tmp_path / "bin" / "nvcc"
