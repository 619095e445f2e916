"""Plots of a quantized network: error and size by layer, and what its codes have to hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yoloslim.files import write_atomically

LAYERS, HISTOGRAMS = "layers.png", "histograms.png"

_SHOWN = 8  # layers with histograms: those with the largest error
_BINS = 120
_DPI = 110


class Histogram(NamedTuple):
    """Counts between edges, one more edge than counts, and the range that codes hold."""

    counts: NDArray[np.int64]
    edges: NDArray[np.float64]
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class LayerPlot:
    """A convolution on integers.

    Attributes:
        sqnr_db: of its output.
        bytes: of its weights and biases.
        weights: its weights, batch-norm folded.
        values: its output; None where it has no codes.
    """

    name: str
    sqnr_db: float
    bytes: int
    weights: Histogram
    values: Histogram | None


def histogram(values: NDArray[np.float32], low: float, high: float) -> Histogram:
    """Gives the histogram of values, of any shape, with the range of their codes."""
    counts, edges = np.histogram(values, _BINS)
    return Histogram(counts, edges, low, high)


def write_quantization_plots(folder: Path, layers: Sequence[LayerPlot]) -> tuple[Path, Path]:
    """Writes ``layers.png`` and ``histograms.png`` into a folder and gives their paths.

    Raises:
        OutputError: a file cannot be written.
    """
    _save(_layer_figure(layers), folder / LAYERS)
    worst = sorted(layers, key=lambda layer: layer.sqnr_db)[:_SHOWN]
    _save(_histogram_figure(worst), folder / HISTOGRAMS)
    return folder / LAYERS, folder / HISTOGRAMS


def _layer_figure(layers: Sequence[LayerPlot]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(6.0, 0.16 * len(layers)), 6), layout="constrained")
    upper, lower = figure.subplots(2, sharex=True)
    places = np.arange(len(layers))
    upper.bar(places, [layer.sqnr_db if math.isfinite(layer.sqnr_db) else 0.0 for layer in layers])
    upper.set(ylabel="SQNR, dB", title="Signal over rounding error, and bytes, of every convolution on integers")
    lower.bar(places, [layer.bytes for layer in layers], color="0.6")
    lower.set(ylabel="bytes", yscale="log")
    lower.set_xticks(places, [layer.name for layer in layers], rotation=90, fontsize=6)
    return figure


def _histogram_figure(layers: Sequence[LayerPlot]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.6 * len(layers)), layout="constrained")
    rows = figure.subplots(len(layers), 2, squeeze=False)
    for layer, (left, right) in zip(layers, rows, strict=True):
        _draw(left, layer.weights, f"{layer.name}: weights")
        _draw(right, layer.values, f"output, {layer.sqnr_db:.1f} dB")
    return figure


def _draw(axes: Any, found: Histogram | None, title: str) -> None:
    axes.set_title(title, fontsize=8)
    axes.tick_params(labelsize=6)
    if found is None:
        axes.text(0.5, 0.5, "in float", ha="center", transform=axes.transAxes)
        return
    axes.stairs(found.counts, found.edges, fill=True)
    axes.set_yscale("symlog")
    for end in (found.low, found.high):
        axes.axvline(end, color="tab:red", linewidth=0.8)


def _save(figure: Any, path: Path) -> None:
    with write_atomically(path) as temporary:
        figure.savefig(temporary, dpi=_DPI)
