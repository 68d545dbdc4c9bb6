"""Memory over time as a picture: whether it is flat is seen sooner than read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SIZE_INCHES, _DPI = (9.0, 4.5), 110
_COLOURS = ("#1f6feb", "#d29922", "#3fb950")


def plot_memory(path: Path, times_s: Floats, sizes_mb: Mapping[str, Floats]) -> None:
    """A PNG with a line for each process: MB from 0 over minutes, its first and last size named.

    Raises OSError where it cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    axes = figure.subplots()
    for (name, series_mb), colour in zip(sizes_mb.items(), _COLOURS, strict=False):
        settled_mb = series_mb[len(series_mb) // 3]
        words = f"{name}: {settled_mb:.0f} MB after a third, {series_mb[-1]:.0f} MB at the end"
        axes.plot(times_s / 60, series_mb, color=colour, linewidth=1.5, label=words)
    axes.set(xlabel="minutes", ylabel="resident set, MB", ylim=(0, None), xlim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=_DPI)
