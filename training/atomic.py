"""Text files that are whole at any moment."""

from pathlib import Path


def save_text(path: Path, text: str) -> None:
    """Write beside and rename, so that a kill at any moment leaves the previous file whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)
