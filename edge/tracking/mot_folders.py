"""Folders of MOTChallenge sequences, by the names that tables, recipes and commands use.

MOT17 is published three times, once for each public detector: MOT17-02-DPM, -FRCNN and -SDP hold the same pictures and
the same truth. Here the three are one sequence, MOT17-02, and whichever is there first serves.
"""

import re
from pathlib import Path

DETECTORS = ("FRCNN", "SDP", "DPM")
_COPY = re.compile(rf"(MOT17-\d\d)-({'|'.join(DETECTORS)})")


def data_folder(text: str) -> Path:
    """DATA, the folder with sequences/ and images/; it may be named by its sequences/, too."""
    path = Path(text)
    return path.parent if path.name == "sequences" and not (path / "sequences").is_dir() else path


def sequences_folder(data: Path) -> Path:
    """Where the sequences of DATA lie: in its sequences/ or, where it has none, in DATA itself."""
    below = data / "sequences"
    return below if below.is_dir() else data


def sequence_folder(parent: Path, name: str) -> Path:
    """The folder of a sequence: parent/name, or one of its three copies; parent/name where there is none of them."""
    folders = [parent / name, *(parent / f"{name}-{detector}" for detector in DETECTORS)]
    return next((folder for folder in folders if folder.is_dir()), folders[0])


def sequence_name(folder: Path) -> str:
    """The name of the sequence in a folder; the same for all three copies."""
    copy = _COPY.fullmatch(folder.name)
    return copy[1] if copy else folder.name
