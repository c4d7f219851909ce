"""The kernels, compiled for the GPUs that they run on. Compiling needs NVRTC, but no GPU: about a second for each kind.

    python -m edge.ops.kernels.build             for every kind of GPU, beside the sources: when an image is built
    python -m edge.ops.kernels.build --again     also what is built already, with another NVRTC, say

A GPU whose program is in neither place has it compiled at the first start, into the user's cache.
"""

import argparse
import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from engines.errors import DeviceError
from engines.files import whole
from engines.nvrtc import compile_program

TARGETS = ("75", "80", "86", "87", "89", "90", "110", "120")
"""Compute capabilities: Turing, A100, Ampere, Orin, Ada, Hopper, Thor, Blackwell."""
SOURCES = tuple(Path(__file__).with_name(name) for name in ("letterbox.cu", "prior.cu"))
KERNELS = ("letterbox", "own", "move_begin", "move_end")
BESIDE = Path(__file__).with_name("built")
"""Where an image has them."""


def kernel_image(capability: str, folders: Sequence[Path] = ()) -> bytes:
    """The program for a GPU of `capability`, such as '90', built into the last of `folders` if in none of them.

    Raises DeviceError where it cannot be built.
    """
    paths = [image_path(capability, folder) for folder in folders or (BESIDE, _cache_folder())]
    found = next((path for path in paths if path.is_file()), None) or build(capability, paths[-1])
    return found.read_bytes()


def image_path(capability: str, folder: Path) -> Path:
    """Where the present sources' program lies or will lie."""
    return folder / f"kernels-{hashlib.sha256(source().encode()).hexdigest()[:16]}-sm{capability}"


def build(capability: str, path: Path) -> Path:
    """Compile for one kind of GPU into `path`. Raises DeviceError."""
    code, _ = compile_program(source(), "kernels.cu", capability)
    try:
        with whole(path) as partial:
            partial.write_bytes(code)
    except OSError as error:
        raise DeviceError(f"the compiled kernels cannot be kept in {path.parent}: {error.strerror}") from None
    return path


def source() -> str:
    """All kernels as one unit."""
    return "\n".join(f'#line 1 "{file.name}"\n{file.read_text()}' for file in SOURCES)


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "atttrack"


def main(arguments: Sequence[str] | None = None) -> int:
    """Build what is missing and say where it lies; 2 after one line that says what was wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m edge.ops.kernels.build", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--again", action="store_true", help="also what is built already")
    parser.add_argument("--output", type=Path, default=BESIDE, metavar="DIR", help="default: beside the sources")
    options = parser.parse_args(arguments)
    try:
        for target in TARGETS:
            path = image_path(target, options.output)
            if options.again or not path.is_file():
                build(target, path)
    except DeviceError as error:
        print(f"python -m edge.ops.kernels.build: {error}", file=sys.stderr)
        return 2
    print(f"{options.output} (sm_{', sm_'.join(TARGETS)})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
