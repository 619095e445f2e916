"""What a training leaves to look at: a table, TensorBoard's events, plots."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from yoloslim.files import write_atomically

Row = Mapping[str, float]

_LOSSES = ("loss", "box", "objectness", "classes")
_ACCURACIES = ("map50", "map", "precision", "recall")


def write_results(rows: Sequence[Row], folder: Path) -> None:
    """Writes ``results.csv`` and ``results.json``, a row an epoch, and plots of losses, accuracy and learning rate."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    with write_atomically(folder / "results.csv") as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, keys)
        writer.writeheader()
        writer.writerows(rows)
    with write_atomically(folder / "results.json") as temporary:
        temporary.write_text(json.dumps(list(rows), indent=1) + "\n")
    _plot(rows, _LOSSES, "loss", folder / "plots" / "losses.png")
    _plot(rows, _ACCURACIES, "share", folder / "plots" / "accuracy.png")
    _plot(rows, ("rate",), "learning rate", folder / "plots" / "rate.png")


def write_tensorboard(row: Row, epoch: int, folder: Path) -> None:
    """Adds one epoch to TensorBoard's events in ``folder/tensorboard``."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder / "tensorboard")) as writer:
        for key, value in row.items():
            writer.add_scalar(key, value, epoch)


def _plot(rows: Sequence[Row], keys: Sequence[str], unit: str, path: Path) -> None:
    """Draws the given columns over the epochs; nothing where no row has any of them."""
    from matplotlib.figure import Figure

    curves = {key: [(row["epoch"], row[key]) for row in rows if key in row] for key in keys}
    if not any(curves.values()):
        return
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for key, points in curves.items():
        if points:
            axes.plot(*zip(*points, strict=True), label=key, marker="." if len(points) < 40 else None)
    axes.set(xlabel="epoch", ylabel=unit)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    with write_atomically(path) as temporary:
        figure.savefig(temporary, dpi=110)
