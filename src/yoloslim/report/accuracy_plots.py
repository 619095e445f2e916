"""Plots of how well a detector does: precision over recall, and which class is taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yoloslim.files import write_atomically

PRECISION_RECALL, CONFUSION = "pr_curve.png", "confusion.png"

_NAMED_CURVES = 10  # classes that a legend can name; of more, the best and the worst are
_NUMBERED = 20  # classes up to which cells show their counts
_NAME_LENGTH = 20  # of a class name that is drawn; the rest is cut off
_DPI = 110


def write_accuracy_plots(
    folder: Path, names: Sequence[str], curves: NDArray[np.float64], confusion: NDArray[np.int64], at_conf: float
) -> None:
    """Writes ``pr_curve.png`` and ``confusion.png`` into a folder.

    Args:
        names: of the classes, in the order of class ids.
        curves: shape (classes, 101), precision at IoU .5 and recall 0 to 1; nan for a class without truths.
        confusion: shape (classes + 1, classes + 1), rows truths, columns detections, background last.
        at_conf: the confidence that ``confusion`` belongs to.

    Raises:
        OutputError: a file cannot be written.
    """
    shown = _shown(names)
    _save(_curve_figure(shown, curves), folder / PRECISION_RECALL)
    _save(_confusion_figure([*shown, "background"], confusion, at_conf), folder / CONFUSION)


def _curve_figure(names: Sequence[str], curves: NDArray[np.float64]) -> Any:
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    recall = np.linspace(0, 1, curves.shape[1])
    precision = curves.mean(axis=1)  # of each class, over all recalls: its average precision
    ranked = [int(index) for index in np.argsort(-precision) if np.isfinite(precision[index])]
    half = _NAMED_CURVES // 2
    named = ranked if len(ranked) <= _NAMED_CURVES else ranked[:half] + ranked[-half:]
    for index in ranked[half:-half] if len(ranked) > _NAMED_CURVES else []:
        axes.plot(recall, _until_it_ends(curves[index]), color="0.8", linewidth=0.8)
    for position, index in enumerate(named):
        label = f"{precision[index]:.3f}  {names[index]}"
        axes.plot(recall, _until_it_ends(curves[index]), color=colormaps["tab10"](position), linewidth=1.3, label=label)
    if len(ranked) > 1:
        mean = curves[ranked].mean(axis=0)
        axes.plot(recall, mean, color="black", linewidth=2.5, label=f"{mean.mean():.3f}  mean of {len(ranked)} classes")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02), title="Precision over recall, IoU 0.5")
    axes.grid(alpha=0.3)
    if ranked:
        title = "AP50, the best and the worst" if len(ranked) > _NAMED_CURVES else "AP50"
        axes.legend(title=title, loc="upper left", bbox_to_anchor=(1, 1), frameon=False, alignment="left")
    return figure


def _until_it_ends(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """The curve down to the first recall that is not reached, where it ends on the axis."""
    reached = int(np.count_nonzero(curve))
    return np.where(np.arange(len(curve)) <= reached, curve, np.nan)


def _confusion_figure(names: Sequence[str], confusion: NDArray[np.int64], at_conf: float) -> Any:
    from matplotlib.figure import Figure

    count = len(names)
    side = max(3.2, min(0.55 * count, 0.17 * count + 4))  # inches of the matrix
    font = 10 if count <= _NUMBERED else 7
    figure = Figure(figsize=(side + 2.6, side + 1.6), layout="constrained")
    axes = figure.subplots()
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the row", shrink=0.6, aspect=30, pad=0.02)
    slant = {"rotation": 90} if count > _NUMBERED else {"rotation": 40, "ha": "right"}
    axes.set_xticks(range(count), names, fontsize=font, **slant)
    axes.set_yticks(range(count), names, fontsize=font)
    edges = np.arange(count + 1) - 0.5
    axes.set_xticks(edges, minor=True)
    axes.set_yticks(edges, minor=True)
    axes.grid(which="minor", color="0.85", linewidth=0.5)
    axes.tick_params(which="both", length=0)
    axes.axhline(edges[-2], color="black", linewidth=1)  # background is no class
    axes.axvline(edges[-2], color="black", linewidth=1)
    if count - 1 <= _NUMBERED:
        _write_counts(axes, confusion, shares)
    axes.set(xlabel="found as", ylabel="truth", title=f"Objects at confidence {at_conf:.3f}, IoU 0.5")
    return figure


def _write_counts(axes: Any, confusion: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    for row, column in np.argwhere(confusion):
        colour = "white" if shares[row, column] > 0.5 else "black"
        text = f"{confusion[row, column]:,}"
        size = 9 - max(0, len(text) - 4)
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)


def _shown(names: Sequence[str]) -> list[str]:
    """Class names as matplotlib shows them: not too long, and no formula; the class id where its font lacks letters."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    letters = get_font(findfont(FontProperties())).get_charmap()
    cut = [name if len(name) <= _NAME_LENGTH else f"{name[: _NAME_LENGTH - 1]}…" for name in names]
    return [
        name.replace("$", r"\$") if all(ord(letter) in letters for letter in name) else f"#{class_id}"
        for class_id, name in enumerate(cut)
    ]


def _save(figure: Any, path: Path) -> None:
    with write_atomically(path) as temporary:
        figure.savefig(temporary, dpi=_DPI)
