"""The kernels as one fat binary for every GPU that is supported. Compiling needs nvcc, but no GPU.

    python -m edge.ops.kernels.build
    python -m edge.ops.kernels.build --again       with another compiler, say

nvcc comes with the CUDA toolkit (NVCC, CUDA_HOME or PATH say where), or from PyPI as `nvidia-cuda-nvcc`. What is built
lies in the user's cache, named after its sources, so it is built once: about 5 s.
"""

import argparse
import hashlib
import logging
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

from engines.errors import DeviceError

log = logging.getLogger(__name__)

TARGETS = ("75", "80", "86", "87", "89", "90", "110", "120")
"""Compute capabilities: Turing, A100, Ampere, Orin, Ada, Hopper, Thor, Blackwell; newer ones compile the last PTX."""
SOURCES = tuple(Path(__file__).with_name(name) for name in ("letterbox.cu", "prior.cu"))
KERNELS = ("letterbox", "own", "move_begin", "move_end")


def kernel_image(cache: Path | None = None) -> bytes:
    """The fat binary, built where it is not in the cache yet. Raises DeviceError where it cannot be built."""
    path = image_path(cache)
    return path.read_bytes() if path.is_file() else build(path).read_bytes()


def image_path(cache: Path | None = None) -> Path:
    """Where the present sources' fat binary lies or will lie; `cache` is a folder, None for the user's."""
    digest = hashlib.sha256(" ".join((*TARGETS, *_OPTIONS)).encode() + source().encode()).hexdigest()[:16]
    return (cache or _cache_folder()) / f"kernels-{digest}.fatbin"


def build(path: Path, targets: Sequence[str] = TARGETS) -> Path:
    """Compile all kernels for `targets` into `path`. Raises DeviceError without nvcc, or with what nvcc says."""
    nvcc = find_nvcc()
    if nvcc is None:
        raise DeviceError(
            "the CUDA kernels are not built yet and there is no nvcc: install the CUDA toolkit or `pip install "
            "nvidia-cuda-nvcc`, then run `python -m edge.ops.kernels.build`; or copy "
            f"{path.name} from another machine to {path.parent}"
        )
    targets = known_targets(nvcc, targets)
    log.info("compiling the CUDA kernels for sm_%s, which takes some seconds", ", sm_".join(targets))
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        unit, built = Path(folder, "kernels.cu"), Path(folder, "kernels.fatbin")
        unit.write_text(source())
        command: list[str | Path] = [nvcc, *_arguments(targets), "-o", built, unit]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise DeviceError(f"{nvcc} cannot compile the kernels: {(done.stderr or done.stdout).strip()}")
        built.replace(path)  # at once, so that nobody reads half a file
    return path


def known_targets(nvcc: Path, targets: Sequence[str]) -> tuple[str, ...]:
    """Those of `targets` that this nvcc compiles for: JetPack 6's, say, knows Orin, but neither Thor nor Blackwell.

    A newer GPU compiles the last one's PTX when the kernels are loaded. Raises DeviceError where there is none.
    """
    done = subprocess.run([nvcc, "--list-gpu-code"], capture_output=True, text=True, check=False)  # noqa: S603
    listed = done.stdout.split()
    known = tuple(target for target in targets if f"sm_{target}" in listed)
    if not known:
        raise DeviceError(
            f"{nvcc} compiles for none of sm_{', sm_'.join(targets)} ({' '.join(listed) or done.stderr.strip()}); "
            "install CUDA 12.6 or newer, or name another nvcc: NVCC=/usr/local/cuda/bin/nvcc"
        )
    return known


def source() -> str:
    """All kernels as one unit."""
    return "\n".join(f'#line 1 "{file.name}"\n{file.read_text()}' for file in SOURCES)


def find_nvcc() -> Path | None:
    """The compiler, or None: NVCC, CUDA_HOME or CUDA_PATH, PATH, NVIDIA's Python packages, the usual folder."""
    if chosen := os.environ.get("NVCC"):
        return Path(chosen)
    homes = [Path(os.environ[name]) for name in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(name)]
    on_path = shutil.which("nvcc")
    wheels = sorted(Path(sysconfig.get_path("purelib"), "nvidia").glob("cu*"))
    candidates = [
        *(home / "bin" / "nvcc" for home in homes),
        *([Path(on_path)] if on_path else []),
        *(home / "bin" / "nvcc" for home in (*wheels, Path("/usr/local/cuda"))),
    ]
    return next((nvcc for nvcc in candidates if nvcc.is_file()), None)


_OPTIONS = ("-O3", "--fatbin", "-std=c++17", "-Werror", "all-warnings")


def _arguments(targets: Sequence[str]) -> list[str]:
    code = [f"-gencode=arch=compute_{target},code=sm_{target}" for target in targets]
    return [*_OPTIONS, *code, f"-gencode=arch=compute_{targets[-1]},code=compute_{targets[-1]}"]


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "atttrack"


def main(arguments: Sequence[str] | None = None) -> int:
    """Build where needed and say where it lies; 2 after one line that says what was wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m edge.ops.kernels.build", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--again", action="store_true", help="also where they are built already")
    options = parser.parse_args(arguments)
    path = image_path()
    try:
        if options.again or not path.is_file():
            build(path)
    except DeviceError as error:
        print(f"python -m edge.ops.kernels.build: {error}", file=sys.stderr)
        return 2
    print(f"{path} ({path.stat().st_size / 1024:.0f} KiB, sm_{', sm_'.join(TARGETS)})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
