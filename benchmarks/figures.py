"""Figures without a screen, as PNG files that depend on nothing but what they show."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.figure import Figure

DPI = 100


def panels(width_px: float, height_px: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """A figure of that size and its panels (rows, columns)."""
    size = (width_px / DPI, height_px / DPI)
    return pyplot.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False, **options)


def write(figure: Figure, path: Path) -> None:
    """Save and forget a figure."""
    figure.savefig(path, dpi=DPI)
    pyplot.close(figure)
