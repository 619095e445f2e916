"""How gammas were spread after each epoch of a sparse training, kept in its folder."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yoloslim.engine.task import Row
from yoloslim.files import write_atomically
from yoloslim.report.gamma_plot import plot_gammas

TABLE = "gammas.csv"
"""In the run folder: for each epoch the share of the gammas in each bin, under the bins' upper edges."""

PLOT = "plots/gammas.png"

Curves = Mapping[str, Sequence[tuple[float, float]]]
"""Points (epoch, share) by name."""

_BINS = 40
_BEYOND = 1.25  # the last edge, of the largest gamma at the start; the last bin also holds what is larger


class GammaHistory:
    """Histograms of gammas, a row an epoch; a row that is written again takes the place of the first.

    Args:
        start: ``|gamma|`` before the first epoch, which become the row of epoch 0, shape (N,).
    """

    def __init__(self, folder: Path, start: NDArray[np.float64]) -> None:
        self._folder = folder
        self._edges = np.linspace(0, _BEYOND * max(start.max(initial=0), 1e-6), _BINS + 1)
        self._start = start

    def add(
        self, epoch: int, sizes: NDArray[np.float64], prunable: Mapping[str, Sequence[tuple[float, float]]]
    ) -> None:
        """Adds an epoch to the table, TensorBoard's events and the plot, which also shows what could be pruned."""
        rows = {0: self._shares(self._start), **self._read(), epoch: self._shares(sizes)}
        rows = {number: shares for number, shares in sorted(rows.items()) if number <= epoch}
        self._write(rows)
        _write_tensorboard(sizes, epoch, self._folder)
        plot_gammas(self._folder / PLOT, list(rows), self._edges, np.array(list(rows.values())), prunable)

    def _shares(self, sizes: NDArray[np.float64]) -> NDArray[np.float64]:
        counts, _ = np.histogram(np.minimum(sizes, self._edges[-1]), self._edges)
        return counts / max(1, len(sizes))

    def _read(self) -> dict[int, NDArray[np.float64]]:
        """The rows that are there; none of another training, whose bins differ."""
        path = self._folder / TABLE
        if not path.is_file():
            return {}
        with path.open(newline="") as file:
            header, *rows = list(csv.reader(file)) or [[]]
        return {int(row[0]): np.array(row[1:], float) for row in rows} if header == self._header() else {}

    def _write(self, rows: Mapping[int, NDArray[np.float64]]) -> None:
        with write_atomically(self._folder / TABLE) as temporary, temporary.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(self._header())
            writer.writerows([epoch, *(f"{share:.6g}" for share in shares)] for epoch, shares in rows.items())

    def _header(self) -> list[str]:
        return ["epoch", *(f"{edge:.6g}" for edge in self._edges[1:])]


def prunable_points(rows: Sequence[Row], points: Sequence[str]) -> dict[str, list[tuple[float, float]]]:
    """Gives, by points of AP50, (epoch, share that could be pruned) of every row that tells it."""
    keys = {each: f"prunable_{each}" for each in points}
    return {each: [(row["epoch"], row[key]) for row in rows if key in row] for each, key in keys.items()}


def _write_tensorboard(sizes: NDArray[np.float64], epoch: int, folder: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder / "tensorboard")) as writer:
        writer.add_histogram("gammas", sizes, epoch)
