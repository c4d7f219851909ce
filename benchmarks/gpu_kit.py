"""Pack what a GPU machine without network lacks, for `benchmarks.gpu_check --kit`.

    python -m benchmarks.gpu_kit runs/gpu-kit
    python -m benchmarks.gpu_kit runs/gpu-kit --architecture 90 --without rtx --part 24

Downloads wheels for the target's Python. The two large ones, onnxruntime-gpu and tensorrt-rtx, become .txz archives;
`--architecture` blanks the CUDA code for all other GPUs in ONNX Runtime's provider, which then packs into a fifth,
56 MiB. TensorRT-RTX is 60 MiB, and not for an H100 or H200. The DLA pair, untrained, is made here, so that the machine
needs no torch. A checkout is about 40 MiB more. Where a transfer may not be so large, `--part` cuts the archives into
numbered parts; send them one after the other, into one folder or several under one, and name that with --kit. For tests
only: a deployment installs the ordinary packages. About ten minutes on one core.
"""

import argparse
import io
import lzma
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from tqdm import tqdm

from benchmarks.gpu_site import NETWORKS, ROOT

SMALL = ("av", "lap", "tqdm")
"""Packages that the pipeline needs and such a machine may lack; taken as they are, in the versions tested here."""
ONNX_RUNTIME = ("onnxruntime-gpu==1.31.1",)
TENSORRT_RTX = (
    "tensorrt-rtx-cu13==1.7.1.116",
    "tensorrt-rtx-cu13-libs==1.7.1.116",
    "tensorrt-rtx-cu13-bindings==1.7.1.116",
)
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
PROVIDER = "libonnxruntime_providers_cuda.so"
NOT_NEEDED = ("libonnxruntime.so", "libonnxruntime_providers_tensorrt.so")

FAT_MAGIC = 0xBA55ED50
"""First word of a fat binary in an object file; see `blank_others`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill the folder."""
    options = _parser().parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    download([f"{name}=={version(name)}" for name in SMALL], options.folder, options.python)
    with tempfile.TemporaryDirectory() as folder:
        wheels = Path(folder)
        if "ort" not in options.without:
            found = download(ONNX_RUNTIME, wheels / "ort", options.python)
            pack(found, options.folder / "ort.txz", options.preset, lambda name, data: _slim(name, data, options))
        if "rtx" not in options.without:
            found = download(TENSORRT_RTX, wheels / "rtx", options.python)
            pack(found, options.folder / "rtx.txz", options.preset)
        if "dla" not in options.without:
            command = [sys.executable, "-m", "export.untrained", str(wheels / NETWORKS)]
            subprocess.run(command, cwd=ROOT, check=True)
            with tarfile.open(options.folder / "networks.txz", "w:xz", preset=min(options.preset, 6)) as tar:
                tar.add(wheels / NETWORKS, NETWORKS)
    if options.part:
        for archive in sorted(options.folder.glob("*.txz")):
            cut(archive, int(options.part * 2**20))
    for file in sorted(options.folder.iterdir()):
        print(f"{file.stat().st_size / 2**20:7.1f} MiB  {file}")
    return 0


def download(requirements: Sequence[str], folder: Path, python: str) -> list[Path]:
    """Wheels for the target; what exists as source alone is built, which works for pure Python."""
    folder.mkdir(parents=True, exist_ok=True)
    target = [word for name in PLATFORMS for word in ("--platform", name)]
    pip = [sys.executable, "-m", "pip"]
    for requirement in requirements:
        binary = [*pip, "download", "-q", "--no-deps", "--only-binary=:all:", "--python-version", python]
        binary += ["--implementation", "cp", *target, "-d", str(folder), requirement]
        if subprocess.run(binary, capture_output=True, check=False).returncode:
            subprocess.run([*pip, "wheel", "-q", "--no-deps", "-w", str(folder), requirement], check=True)
    return sorted(folder.glob("*.whl"))


def pack(
    wheels: Sequence[Path], archive: Path, preset: int, edit: Callable[[str, bytes], bytes | None] | None = None
) -> None:
    """All files of the wheels in one archive; `edit` may change a file's content, or leave it out by None."""
    filters = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "preset": preset}]
    if preset > 6:
        filters[1]["dict_size"] = 1 << 28  # the same code comes in variants that lie far apart
    with (
        lzma.open(archive, "wb", format=lzma.FORMAT_XZ, filters=filters) as stream,
        tarfile.open(fileobj=stream, mode="w") as tar,
    ):
        for path in wheels:
            with zipfile.ZipFile(path) as wheel:
                for name in tqdm([n for n in wheel.namelist() if not n.endswith("/")], desc=path.stem, disable=None):
                    content = wheel.read(name) if edit is None else edit(name, wheel.read(name))
                    if content is not None:
                        entry = tarfile.TarInfo(name)
                        entry.size, entry.mode = len(content), 0o755
                        tar.addfile(entry, io.BytesIO(content))


def cut(archive: Path, size: int) -> list[Path]:
    """Replace a file of more than `size` bytes by parts of at most so many, NAME.000 and on; paths of what there is."""
    if archive.stat().st_size <= size:
        return [archive]
    content = archive.read_bytes()
    parts = []
    for number, start in enumerate(range(0, len(content), size)):
        parts.append(archive.with_name(f"{archive.name}.{number:03}"))
        parts[-1].write_bytes(content[start : start + size])
    archive.unlink()
    return parts


def blank_others(library: bytes, architecture: int) -> bytes:
    """The library with the CUDA code for other architectures set to zero; headers stay, so sizes and places do, too.

    A fat binary is a header (magic, version, its own size, size of what follows) and then entries, each with a header
    (kind, its own size, size of its code; the architecture at byte 28) before its code.
    """
    edited = bytearray(library)
    magic = struct.pack("<I", FAT_MAGIC)
    at = edited.find(magic)
    while at >= 0:
        version, header, size = struct.unpack_from("<HHQ", edited, at + 4) if at + 16 <= len(edited) else (0, 0, 0)
        end = at + header + size
        if (version, header) == (1, 16) and end <= len(edited):
            entry = at + header
            while entry + 32 <= end:
                entry_header, code = struct.unpack_from("<IQ", edited, entry + 4)
                if entry_header < 32 or entry + entry_header + code > end:
                    break  # no entry after all
                if struct.unpack_from("<I", edited, entry + 28)[0] != architecture:
                    edited[entry + entry_header : entry + entry_header + code] = bytes(code)
                entry += entry_header + code
            at = edited.find(magic, end)
        else:
            at = edited.find(magic, at + 4)
    return bytes(edited)


def _slim(name: str, content: bytes, options: argparse.Namespace) -> bytes | None:
    file = name.rpartition("/")[2]
    if file.startswith(NOT_NEEDED):
        return None
    return blank_others(content, options.architecture) if file == PROVIDER and options.architecture else content


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_kit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--python", default="3.12", metavar="X.Y", help="the target's Python (default %(default)s)")
    parser.add_argument("--architecture", type=int, metavar="SM", help="keep CUDA code for this alone, such as 90")
    parser.add_argument("--without", nargs="*", choices=("ort", "rtx", "dla"), default=[], help="leave out a part")
    parser.add_argument("--part", type=float, metavar="MIB", help="cut archives into parts of so many MiB")
    parser.add_argument("--preset", type=int, default=9, choices=range(10), help="of xz; 1 is quick (default 9)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
