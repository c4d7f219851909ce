"""What a machine without network was given for training: packages that it lacks, and data (`benchmarks.train_kit`)."""

import hashlib
import tarfile
import zipfile
from pathlib import Path


def unpack(kit: Path, work: Path) -> tuple[Path, Path | None]:
    """(folder of packages, folder of data or None) of a kit, unpacked once per content below `work`.

    A kit holds wheels and archives of data (data-*.tar), in itself or in folders below. Raises FileNotFoundError where
    there is neither.
    """
    wheels, archives = sorted(kit.rglob("*.whl")), sorted(kit.rglob("data-*.tar"))
    if not wheels and not archives:
        raise FileNotFoundError(f"neither *.whl nor data-*.tar in {kit}; pack one with: make gpu-train-kit KIT={kit}")
    return _once(wheels, work, "site"), _once(archives, work, "data") if archives else None


def _once(files: list[Path], work: Path, name: str) -> Path:
    """All files' contents in one folder, whose name tells them apart from other files'."""
    content = repr([(file.name, file.stat().st_size) for file in files])
    folder = work / f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:10]}"
    if (folder / ".complete").exists():
        return folder
    for file in files:
        if file.suffix == ".whl":
            with zipfile.ZipFile(file) as wheel:
                wheel.extractall(folder)  # noqa: S202  # our own kit
        else:
            with tarfile.open(file) as archive:
                archive.extractall(folder, filter="data")  # our own kit, and nothing leaves the folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".complete").touch()
    return folder
