"""The picture of a sparse training: where the gammas are, and what could be pruned, over the epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yoloslim.files import write_atomically

_SURFACE, _INK, _QUIET, _GRID = "#fcfcfb", "#0b0b0b", "#52514e", "#e4e3df"
_COLOURS = ("#2a78d6", "#eb6834", "#1baf7a", "#4a3aa7")
_LEAST = 1e-3  # share of the gammas that is still seen


def plot_gammas(
    path: Path,
    epochs: Sequence[int],
    edges: NDArray[np.float64],
    shares: NDArray[np.float64],
    prunable: Mapping[str, Sequence[tuple[float, float]]],
) -> None:
    """Writes a PNG: a histogram of the gammas a column above, what could be pruned below.

    Args:
        epochs: of the histograms, rising.
        edges: of their bins, shape (bins + 1,).
        shares: of the gammas in each bin, shape (epochs, bins).
        prunable: by name, points (epoch, share that could be pruned, 0..1).
    """
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6.5), dpi=120, layout="constrained", facecolor=_SURFACE)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    sides = np.append(np.asarray(epochs, float) - 0.5, epochs[-1] + 0.5)
    norm = LogNorm(_LEAST, 1)
    mesh = above.pcolormesh(sides, edges, np.maximum(shares.T, _LEAST), norm=norm, cmap="Blues")
    figure.colorbar(mesh, ax=above, label="share of the gammas")
    above.set_ylabel("|gamma|", color=_INK)
    for (name, points), colour in zip(prunable.items(), _COLOURS, strict=False):
        if points:
            below.plot(*zip(*points, strict=True), color=colour, marker="o", markersize=5, linewidth=2, label=name)
    below.set_ylim(0, 1)
    below.set_ylabel("prunable", color=_INK)
    below.set_xlabel("epoch", color=_INK)
    below.grid(color=_GRID, linewidth=0.8)
    if any(prunable.values()):
        below.legend(frameon=False, labelcolor=_INK, title="points of AP50")
    for axes in (above, below):
        axes.set_facecolor(_SURFACE)
        axes.tick_params(colors=_QUIET, length=0)
        axes.spines[:].set_visible(False)
    with write_atomically(path) as temporary:
        figure.savefig(temporary, format="png", facecolor=_SURFACE)
