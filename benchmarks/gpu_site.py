"""What `benchmarks.gpu_check` needs on its machine: the kit's packages, unpacked once, and CUDA's libraries."""

import hashlib
import io
import os
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.gpu_process import Entry

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("benchmarks", "edge", "engines", "export", "service")
NETWORKS = "networks"
"""Folder of the kit's model files, beside its packages."""


def work_folder() -> Path:
    """For what is large and can be made again."""
    return Path(tempfile.gettempdir()) / f"atttrack-gpu-check-{os.getuid()}"


def fingerprint(asked: Entry, models: Sequence[Path]) -> str:
    """Of the programs, the model files and what is asked of them: a result is good as long as none of it changes."""
    digest = hashlib.sha256(repr(sorted(asked.items())).encode())
    for model in models:
        digest.update(model.read_bytes())
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".cu"):
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def environment(site: Path | None, work: Path) -> dict[str, str]:
    """For the steps: the kit's packages first, and the CUDA libraries that came with Python packages."""
    paths = [str(ROOT)] + ([str(site)] if site else [])
    libraries = [str(folder) for entry in (*paths, *sys.path) for folder in sorted(Path(entry).glob("nvidia/*/lib"))]
    known = {name: os.environ.get(name, "") for name in ("PYTHONPATH", "LD_LIBRARY_PATH")}
    return os.environ | {
        "PYTHONPATH": os.pathsep.join([*paths, known["PYTHONPATH"]]).strip(os.pathsep),
        "LD_LIBRARY_PATH": os.pathsep.join([*libraries, known["LD_LIBRARY_PATH"]]).strip(os.pathsep),
        "ATTTRACK_PLANS_DIR": str(work / "plans"),
    }


def unpack(kit: Path, work: Path) -> Path:
    """The folder with the kit's packages; unpacked once per content. Raises SystemExit where there is no kit."""
    archives = _archives(kit)
    if not archives:
        raise SystemExit(f"no .whl or .txz in {kit}; make one with: make gpu-kit")
    sizes = [(name, [part.stat().st_size for part in parts]) for name, parts in archives.items()]
    site = work / f"site-{hashlib.sha256(repr(sizes).encode()).hexdigest()[:10]}"
    if not (site / ".complete").exists():
        site.mkdir(parents=True, exist_ok=True)
        for name, parts in archives.items():
            whole = io.BytesIO(b"".join(part.read_bytes() for part in parts))
            if name.endswith(".whl"):
                with zipfile.ZipFile(whole) as wheel:
                    wheel.extractall(site)  # noqa: S202  # our own kit
            else:
                with tarfile.open(fileobj=whole) as archive:
                    archive.extractall(site, filter="data")  # our own kit, and nothing leaves `site`
        (site / ".complete").touch()
    return site


def _archives(kit: Path) -> Mapping[str, list[Path]]:
    """Name -> its parts in their order; a whole file is its only part."""
    found: dict[str, list[Path]] = {}
    for path in sorted(kit.rglob("*"), key=lambda path: path.name):  # parts may lie in several folders
        name = path.name if path.suffix in (".whl", ".txz") else path.stem
        if path.is_file() and name.endswith((".whl", ".txz")):
            found.setdefault(name, []).append(path)
    return found
