"""A data set in pictures: its classes, and the sizes and shapes of its boxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from yoloslim.boxes.placement import ResizeMode
from yoloslim.data.statistics import aspects, boxes_a_picture, sides_px
from yoloslim.data.survey import Survey
from yoloslim.errors import DataError
from yoloslim.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Values = Mapping[str, NDArray[Any]]
"""A value of every box or picture, by split."""

_COLOURS = {"train": "#2a6fbb", "val": "#e08a1e", "test": "#3f9b4b"}
_DPI = 130
_BAR_INCHES = 0.13
_BINS = 32
_SHOWN_CLASSES = 100
_SHOWN_SHARE = 0.999  # of the boxes: a few far ones would squeeze the rest


def plot_classes(path: Path, surveys: Mapping[str, Survey]) -> None:
    """Writes a bar chart of the boxes of every class, a bar a split, the most frequent class on top.

    Of more than `_SHOWN_CLASSES` only the most frequent are shown, which the title says.

    Args:
        path: a .png.
        surveys: of the splits, by name.

    Raises:
        OutputError: the file cannot be written.
    """
    names = next(iter(surveys.values())).names
    counts = {split: np.bincount(found.boxes.class_ids, minlength=len(names)) for split, found in surveys.items()}
    order = np.argsort(sum(counts.values()), kind="stable")[-_SHOWN_CLASSES:]
    figure = _figure(8, 1.2 + _BAR_INCHES * (len(surveys) + 1) * len(order))
    axes = figure.subplots()
    thickness = 1 / (len(surveys) + 1)
    for row, (split, of_class) in enumerate(counts.items()):
        places = np.arange(len(order)) + 0.5 - thickness * (row + 1)
        bars = axes.barh(places, of_class[order], thickness, label=split, color=_COLOURS[split])
        axes.bar_label(bars, [f" {count:,}" for count in of_class[order]], fontsize=7)
    axes.set_yticks(np.arange(len(order)), [names[index] for index in order])
    axes.set(xlabel="boxes", ylim=(-0.6, len(order) - 0.4))
    if len(order) < len(names):
        axes.set_title(f"the {len(order)} most frequent of {len(names):,} classes")
    axes.margins(x=0.1)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    _finish(axes, "x")
    _save(path, figure)


def plot_boxes(path: Path, surveys: Mapping[str, Survey], size: tuple[int, int], resize: ResizeMode) -> None:
    """Writes four plots: width against height, size and shape of the boxes, and how many a picture has.

    Args:
        path: a .png.
        surveys: of the splits, by name.
        size: width and height of the network's input, at which boxes are measured.
        resize: how pictures are fitted into it.

    Raises:
        DataError: there is no box.
        OutputError: the file cannot be written.
    """
    if not any(len(found.boxes) for found in surveys.values()):
        raise DataError(f"expected boxes to plot, found none in {' and '.join(surveys)}")
    figure = _figure(11, 9)
    ((sizes, sides), (shapes, counts)) = figure.subplots(2, 2)
    where = f"pixels at {size[0]}x{size[1]}, {resize}"
    _plot_sizes(sizes, np.concatenate([found.sizes_at(size, resize) for found in surveys.values()]))
    sizes.set(title="boxes of all splits", xlabel=f"width, {where}", ylabel="height")
    _plot_shares(sides, {split: sides_px(found, size, resize) for split, found in surveys.items()}, _log_edges)
    sides.set(title="size", xlabel=f"square root of the area, {where}", ylabel="share of the boxes", xscale="log")
    _plot_shares(shapes, {split: aspects(found) for split, found in surveys.items()}, _log_edges)
    shapes.set(title="shape", xlabel="width / height", ylabel="share of the boxes", xscale="log")
    _plot_shares(counts, {split: boxes_a_picture(found) for split, found in surveys.items()}, _count_edges)
    counts.set(title="boxes a picture", xlabel="boxes", ylabel="share of the pictures")
    for axes in (sizes, sides, shapes):
        _write_plain_numbers(axes)
    _save(path, figure)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _plot_sizes(axes: Axes, sizes: NDArray[np.float64]) -> None:
    """Draws how many boxes there are of every width and height, both axes alike and logarithmic."""
    from matplotlib.colors import LogNorm

    edges = _log_edges({"": sizes.reshape(-1)})
    widths, heights = np.clip(sizes, edges[0], edges[-1]).T
    *_, image = axes.hist2d(widths, heights, [edges, edges], norm=LogNorm(), cmap="viridis")
    axes.figure.colorbar(image, ax=axes, label="boxes", format="{x:,.0f}")
    axes.set(xscale="log", yscale="log", aspect="equal")
    axes.axline((edges[0], edges[0]), (edges[-1], edges[-1]), color="grey", linewidth=0.8, linestyle=":")
    axes.grid(alpha=0.3)


def _plot_shares(axes: Axes, values: Values, edges_of: Callable[[Values], NDArray[np.float64]]) -> None:
    """Draws a histogram of every split as shares, so that small splits compare with large ones."""
    from matplotlib.ticker import MaxNLocator

    edges = edges_of(values)
    for split, its in values.items():
        shares = np.histogram(np.clip(its, edges[0], edges[-1]), edges)[0] / max(len(its), 1)
        axes.stairs(shares, edges, linewidth=1.6, label=split, color=_COLOURS[split])
    axes.yaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.set_xlim(edges[0], edges[-1])
    _finish(axes, "both")


def _log_edges(values: Values) -> NDArray[np.float64]:
    least, most = np.quantile(np.concatenate(list(values.values())), [1 - _SHOWN_SHARE, _SHOWN_SHARE])
    return np.geomspace(least / 1.1, most * 1.1, _BINS + 1).astype(np.float64)


def _count_edges(values: Values) -> NDArray[np.float64]:
    """Gives edges between whole numbers, several numbers to a bin where there are many."""
    most = max(int(its.max(initial=0)) for its in values.values())
    step = -(-(most + 1) // _BINS)
    return np.arange(0, most + step + 1, step).astype(np.float64) - 0.5


def _write_plain_numbers(axes: Axes) -> None:
    """Writes 1, 2, 5, 10, 20 ... along logarithmic axes, not powers of ten."""
    from matplotlib.ticker import LogLocator, NullLocator

    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() == "log":
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter("{x:g}")


def _finish(axes: Axes, grid: Literal["x", "both"]) -> None:
    axes.grid(axis=grid, alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(frameon=False)


def _save(path: Path, figure: Figure) -> None:
    with write_atomically(path) as temporary:
        figure.savefig(temporary, dpi=_DPI)
