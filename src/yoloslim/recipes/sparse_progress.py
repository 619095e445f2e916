"""How far a sparse training has come: gammas, what could be pruned now, and whether that still grows."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from yoloslim.compress.pruning.blocks import block_scores
from yoloslim.compress.pruning.methods import plan_at, rank
from yoloslim.compress.pruning.plan import PruningPlan
from yoloslim.compress.pruning.prunable import prunable_shares
from yoloslim.compress.pruning.scores import gamma_scores
from yoloslim.compress.pruning.search import cost_left
from yoloslim.compress.sparsity.gammas import SMALL, TINY, Channels, gammas_of
from yoloslim.compress.sparsity.guard import has_converged, next_strength
from yoloslim.engine.task import Row
from yoloslim.nn.network import Network
from yoloslim.recipes.gamma_history import GammaHistory, prunable_points
from yoloslim.recipes.prune import composed, settings_of, unproved
from yoloslim.recipes.schema import PruneTable

_log = logging.getLogger(__name__)

LOSSES: Mapping[str, float] = {"0": 0.0, "0.5": 0.005, "1": 0.01, "2": 0.02}
"""Points of AP50, and AP50 from 0 to 1, that what can be pruned is measured for."""

LOOKS = 6
"""Networks that a measurement looks at, besides the whole one."""

_BUDGET = 0.1  # share of a training's time, for measurements; for the guard, half as much
_STEP_COST = 3  # evaluations that a training picture costs: forward, and twice as much backward
_MEASUREMENTS = 3  # that must agree before a training counts as converged
_KEY = "prunable_0.5"


@dataclass(frozen=True, slots=True)
class Pace:
    """Epochs between two measurements of what can be pruned, and of AP50 alone."""

    prunable: int
    accuracy: int


@dataclass(frozen=True, slots=True)
class Judge:
    """What measures networks meanwhile.

    Attributes:
        accuracy: gives the AP50 of a network on the same pictures each time.
        pace: how often.
        epochs: of the training; the last one is always measured.
        folder: of the run, where it is kept how the gammas are spread.
    """

    accuracy: Callable[[Network], float]
    pace: Pace
    epochs: int
    folder: Path


def pace_of(pictures: int, training: int, measure_every: int) -> Pace:
    """Gives how often to measure so that it takes about a tenth of a training.

    Args:
        pictures: that are measured on.
        training: pictures of an epoch.
        measure_every: epochs between two measurements, where the user says so; else 0.
    """
    epoch = max(1, training) * _STEP_COST * _BUDGET
    return Pace(measure_every or math.ceil((LOOKS + 1) * pictures / epoch), math.ceil(2 * pictures / epoch))


def told_pace(pace: Pace, pictures: int) -> str:
    """Says how often what is measured, in one line."""
    often = "after each epoch" if pace.prunable == 1 else f"every {pace.prunable} epochs and at the end"
    return f"what could be pruned is measured {often}, on {pictures} validation pictures, {LOOKS} networks each time"


def strength_after(rows: Sequence[Row], start: float, guard: float) -> float:
    """Gives the strength of the epoch after these rows: what every measurement of AP50 made of it.

    AP50 is compared with the best measured so far, the start among it; while that is 0 there is nothing to guard.

    Args:
        start: strength of the first epoch.
        guard: AP50 that may be lost, 0..1.
    """
    strength, best = start, 0.0
    for row in rows:
        if "subset_map50" in row:
            best = max(best, row["start_map50"], row["subset_map50"])
            strength = next_strength(strength, best - row["subset_map50"], guard) if best else strength
    return strength


class Monitor:
    """Measures averaged networks between epochs; remembers only what rows and the start tell, so a run can go on.

    Args:
        network: as the training starts.
        channels: that are shrunk.
        prune: the pruning that the training prepares; its score is taken to be gamma.
    """

    def __init__(self, network: Network, channels: Channels, prune: PruneTable, judge: Judge) -> None:
        self._channels, self._prune, self._judge = channels, prune, judge
        start = gammas_of(network, channels)
        self._mean = start.mean
        self._history = GammaHistory(judge.folder, start.sizes)
        self._start = judge.accuracy(network)
        self._rows: Sequence[Row] = ()

    def hear(self, rows: Sequence[Row]) -> None:
        """Takes the rows of all epochs done."""
        self._rows = tuple(rows)

    def columns(self, network: Network) -> Row:
        """Gives the columns of an epoch: gammas always, the rest when its turn has come."""
        epoch = len(self._rows) + 1
        gammas = gammas_of(network, self._channels)
        row = {"small_gammas": gammas.share_below(SMALL), "tiny_gammas": gammas.share_below(TINY)}
        row["mean_gamma"] = gammas.mean / self._mean if self._mean else 0.0
        row |= self._accuracies(network, epoch)
        rows = [*self._rows, {**row, "epoch": epoch}]
        if _KEY in row:
            row["converged"] = float(_has_converged(rows))
        self._history.add(epoch, gammas.sizes, prunable_points(rows, tuple(LOSSES)))
        return row

    def _accuracies(self, network: Network, epoch: int) -> Row:
        """What is measured on pictures after this epoch."""
        is_last, pace = epoch == self._judge.epochs, self._judge.pace
        measures = is_last or epoch % pace.prunable == 0
        if not measures and epoch % pace.accuracy:
            return {}
        row = {"start_map50": self._start, "subset_map50": self._judge.accuracy(network)}
        return row | (prunable(network, self._prune, self._judge.accuracy, row["subset_map50"]) if measures else {})


def prunable(network: Network, table: PruneTable, accuracy: Callable[[Network], float], whole: float) -> Row:
    """Gives what could be pruned now at each of ``LOSSES``: the percent, and the share of the parameters.

    Args:
        table: how it would be pruned; channels by their gammas, or the blocks of method ``layer``.
        accuracy: gives the AP50 of a network; of this one, ``whole``.
    """
    plan = _plans(network, table)

    def lost(share: float) -> float:
        return whole - accuracy(unproved(network, plan(share), folding=table.fold))

    shares = dict(zip(LOSSES, prunable_shares(lost, tuple(LOSSES.values()), LOOKS), strict=True))
    left = cost_left(network.graph, "params")
    row = {f"prunable_{points}": share for points, share in shares.items()}
    return row | {f"prunable_params_{points}": 1 - left(plan(share)) for points, share in shares.items()}


def _plans(network: Network, table: PruneTable) -> Callable[[float], PruningPlan]:
    """Gives plans by the share that goes, of the lanes that the method may remove, or of the blocks."""
    scores, method = gamma_scores(network), composed(table)
    method = replace(method, score="gamma", over="lanes" if method.over == "random" else method.over)
    settings = replace(settings_of(table, seed=0), blocks=0 if method.blocks else None)
    if "everything" not in method.frozen:
        ranking = rank(network.graph, method, settings, scores)
        return lambda share: plan_at(ranking, share)
    count = len(block_scores(network.graph, scores))

    def without_blocks(share: float) -> PruningPlan:
        dropping = replace(settings, percent=0.0, blocks=int(share * count))
        return plan_at(rank(network.graph, method, dropping, scores), 0.0)

    return without_blocks


def _has_converged(rows: Sequence[Row]) -> bool:
    measured = [row for row in rows if _KEY in row][-_MEASUREMENTS:]
    means = [row["mean_gamma"] for row in measured]
    return len(measured) == _MEASUREMENTS and has_converged([row[_KEY] for row in measured], means)
