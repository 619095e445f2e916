"""Sparse training: which channels a recipe shrinks while it trains, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from yoloslim.compress.pruning.freeze import frozen_lanes
from yoloslim.compress.pruning.methods import METHODS
from yoloslim.compress.pruning.scores import writers
from yoloslim.compress.sparsity.fade import Fade
from yoloslim.compress.sparsity.penalty import GammaPenalty, auto_strength
from yoloslim.engine.optimizer import learning_rate
from yoloslim.engine.settings import TrainSettings
from yoloslim.engine.task import Hooks
from yoloslim.graph.blocks import branch_nodes
from yoloslim.graph.graph import Graph
from yoloslim.graph.lanes import Lanes, trace_lanes
from yoloslim.nn.network import Network
from yoloslim.recipes.prune import planned
from yoloslim.recipes.schema import PruneTable, SparsityTable

Channels = Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Sparsity:
    """What sparse training needs to know.

    Attributes:
        prune: the pruning that it prepares.
    """

    table: SparsityTable
    prune: PruneTable


def sparsity_hooks(
    network: Network, sparsity: Sparsity, settings: TrainSettings, batches_per_epoch: int, watch: Hooks
) -> Hooks:
    """Gives ``watch`` with the shrinking of gammas, and its columns for each epoch, added."""
    steps = settings.epochs * settings.steps_per_epoch(batches_per_epoch)
    if sparsity.table.schedule == "fade":
        return _fade_hooks(Fade(network, doomed_channels(network, sparsity.prune), steps), watch)
    penalty = GammaPenalty(network, removable_channels(network.graph, sparsity.table.penalty), 0.0)
    penalty.strength = _strength(penalty, sparsity.table, settings, steps)
    return _penalty_hooks(penalty, watch)


def removable_channels(graph: Graph, method: str) -> Channels:
    """Gives, for every node that writes lanes, which of its channels a pruning method may remove, shape (C,)."""
    lanes = trace_lanes(graph)
    return _of_writers(graph, lanes, ~frozen_lanes(graph, lanes, METHODS[method].frozen))


def doomed_channels(network: Network, table: PruneTable) -> Channels:
    """Gives, for every node that writes lanes, which of its channels a recipe would prune now, shape (C,)."""
    plan = planned(network, table)
    chosen = _of_writers(network.graph, trace_lanes(network.graph), ~plan.keep)
    gone = branch_nodes(network.graph, plan.dropped)
    return {name: np.ones_like(channels) if name in gone else channels for name, channels in chosen.items()}


def _of_writers(graph: Graph, lanes: Lanes, chosen: NDArray[np.bool_]) -> Channels:
    return {name: chosen[lanes.of[name]] for name in writers(graph)}


def _strength(penalty: GammaPenalty, table: SparsityTable, settings: TrainSettings, steps: int) -> float:
    if table.strength != "auto":
        return table.strength
    rates = sum(learning_rate(step, steps, settings) for step in range(steps)) * settings.step_size
    return auto_strength(penalty.gammas(), rates, table.reach)


def _penalty_hooks(penalty: GammaPenalty, watch: Hooks) -> Hooks:
    def columns() -> Mapping[str, float]:
        return {"small_gammas": penalty.small_share(), "strength": penalty.strength, **watch.after_epoch()}

    def after_step(done: int, rate: float) -> None:
        penalty.step(rate)
        watch.after_step(done, rate)

    return replace(watch, after_step=after_step, after_epoch=columns)


def _fade_hooks(fade: Fade, watch: Hooks) -> Hooks:
    def columns() -> Mapping[str, float]:
        return {"small_gammas": fade.small_share(), **watch.after_epoch()}

    def after_step(done: int, rate: float) -> None:
        fade.step(done)
        watch.after_step(done, rate)

    def on_average(network: Network, done: int) -> None:
        fade.finish(network, done)
        watch.on_average(network, done)

    return replace(watch, after_step=after_step, after_epoch=columns, on_average=on_average)
