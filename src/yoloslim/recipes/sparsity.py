"""Sparse training: which channels a recipe shrinks while it trains, and how."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from yoloslim.compress.pruning.blocks import last_scored, why_none
from yoloslim.compress.pruning.freeze import frozen_lanes
from yoloslim.compress.pruning.methods import METHODS
from yoloslim.compress.pruning.scores import writers
from yoloslim.compress.sparsity.fade import Fade
from yoloslim.compress.sparsity.gammas import Channels
from yoloslim.compress.sparsity.movement import FirstSteps
from yoloslim.compress.sparsity.penalty import GammaPenalty, auto_strength
from yoloslim.compress.sparsity.schedule import SCHEDULES
from yoloslim.engine.optimizer import learning_rate
from yoloslim.engine.processes import started_processes
from yoloslim.engine.settings import TrainSettings
from yoloslim.engine.task import Hooks, Row
from yoloslim.errors import RecipeError
from yoloslim.graph.blocks import branch_nodes
from yoloslim.graph.frozen import matching_nodes, stops_of
from yoloslim.graph.graph import Graph
from yoloslim.graph.lanes import Lanes, trace_lanes
from yoloslim.graph.ops import Convolution, Depthwise
from yoloslim.nn.network import Network
from yoloslim.recipes.prune import planned
from yoloslim.recipes.schema import PruneTable, SparsityTable
from yoloslim.recipes.sparse_progress import Judge, Monitor, strength_after

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sparsity:
    """What sparse training needs to know.

    Attributes:
        prune: the pruning that it prepares.
    """

    table: SparsityTable
    prune: PruneTable


def check_sparsity(table: SparsityTable) -> None:
    """Makes sure that a recipe's ``[sparsity]`` can be followed by some network.

    Raises:
        RecipeError: a value is out of range, or has no effect.
    """
    if isinstance(table.strength, float) and not 0 < table.strength < math.inf:
        found = f"[sparsity] strength: expected a number above 0, found {table.strength:g}"
        raise RecipeError(f"{found}; a training without [sparsity] is dense")
    if table.schedule == "fade" and table.penalty != "normal":
        raise RecipeError(f"[sparsity] penalty {table.penalty}: fade shrinks what [prune] removes; leave penalty out")
    if not 0 <= table.guard <= 1:
        raise RecipeError(f"[sparsity] guard: expected a share of AP50 from 0 to 1, found {table.guard:g}")
    for key, least in (("pictures", 1), ("measure_every", 0)):
        if getattr(table, key) < least:
            raise RecipeError(f"[sparsity] {key}: expected {least} or more, found {getattr(table, key)}")


def check_penalty(graph: Graph, table: SparsityTable, settings: TrainSettings) -> None:
    """Makes sure that a network has gammas which a recipe's penalty can shrink.

    Raises:
        RecipeError: it has none; says why.
    """
    if table.schedule != "fade":
        learning_channels(graph, table.penalty, settings)


def sparsity_hooks(
    network: Network, sparsity: Sparsity, settings: TrainSettings, batches_per_epoch: int, watch: Hooks, judge: Judge
) -> Hooks:
    """Gives ``watch`` with the shrinking of gammas, and its columns for each epoch, added."""
    steps = settings.epochs * settings.steps_per_epoch(batches_per_epoch)
    table = sparsity.table
    if table.schedule == "fade":
        channels = doomed_channels(network, sparsity.prune)
        hooks = _fade_hooks(Fade(network, channels, steps), watch)
        return _measured(hooks, Monitor(network, channels, sparsity.prune, judge))
    channels = learning_channels(network.graph, table.penalty, settings)
    penalty = GammaPenalty(network, channels, 0.0, SCHEDULES[table.schedule])
    rates = [learning_rate(step, steps, settings, started_processes().count) for step in range(steps)]
    rates = [rate * settings.step_size for rate in rates]
    penalty.strength = _strength(penalty, table, rates)
    first = FirstSteps(max(rates, default=0.0), steps)
    hooks = _steered(_penalty_hooks(penalty, first, watch), penalty, table)
    return _measured(hooks, Monitor(network, channels, sparsity.prune, judge))


def learning_channels(graph: Graph, penalty: str, settings: TrainSettings) -> Channels:
    """Gives the channels that a penalty shrinks, less those of layers that do not learn: nothing would hold them.

    Raises:
        RecipeError: there is none; says why.
    """
    channels = penalised_channels(graph, penalty)
    if not any(chosen.any() for chosen in channels.values()):
        raise RecipeError(f"[sparsity] penalty {penalty}: this network has no batch-norm that it could shrink")
    still = _still_nodes(graph, settings)
    found = {name: chosen for name, chosen in channels.items() if name not in still}
    if not any(chosen.any() for chosen in found.values()):
        raise RecipeError(
            f"[sparsity] penalty {penalty}: all layers that it shrinks are frozen; thaw some (train.freeze)"
        )
    return found


def penalised_channels(graph: Graph, penalty: str) -> Channels:
    """Gives, for every node with batch-norm that writes lanes, which of its channels a penalty shrinks, shape (C,).

    Args:
        penalty: ``layer``: all channels of the last convolution of each residual block; else the name of a pruning
            method: the channels that it may remove.

    Raises:
        RecipeError: the network has no such block.
    """
    lanes = trace_lanes(graph)
    if penalty != "layer":
        chosen = _of_writers(graph, lanes, ~frozen_lanes(graph, lanes, METHODS[penalty].frozen))
        return {name: chosen[name] for name in _with_norm(graph)}
    last = last_scored(graph, _with_norm(graph)).values()
    if not last:
        raise RecipeError(f"[sparsity] penalty layer: {why_none(graph)}; choose normal or shortcut")
    return {name: np.ones(len(lanes.of[name]), dtype=bool) for name in last}


def doomed_channels(network: Network, table: PruneTable) -> Channels:
    """Gives, for every node that writes lanes, which of its channels a recipe would prune now, shape (C,)."""
    plan = planned(network, table)
    chosen = _of_writers(network.graph, trace_lanes(network.graph), ~plan.keep)
    gone = branch_nodes(network.graph, plan.dropped)
    return {name: np.ones_like(channels) if name in gone else channels for name, channels in chosen.items()}


def _of_writers(graph: Graph, lanes: Lanes, chosen: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    return {name: chosen[lanes.of[name]] for name in writers(graph)}


def _with_norm(graph: Graph) -> list[str]:
    ops = ((name, graph[name].op) for name in writers(graph))
    return [name for name, op in ops if isinstance(op, Convolution | Depthwise) and op.batch_norm]


def _still_nodes(graph: Graph, settings: TrainSettings) -> frozenset[str]:
    """Nodes that never learn in a training."""
    leading = max((stop.layers for stop in stops_of(graph) if stop.until is None), default=0)
    return frozenset(node.name for node in graph.nodes[:leading]) | matching_nodes(graph, settings.freeze)


def _strength(penalty: GammaPenalty, table: SparsityTable, rates: Sequence[float]) -> float:
    if table.strength != "auto":
        return table.strength
    total = sum(rate * penalty.schedule.left(step / len(rates)) for step, rate in enumerate(rates, start=1))
    return auto_strength(penalty.distances(), total, table.reach)


def _penalty_hooks(penalty: GammaPenalty, first: FirstSteps, watch: Hooks) -> Hooks:
    def after_step(done: int, rate: float) -> None:
        first.look(penalty.step(rate, done / first.steps), rate, penalty.strength)
        watch.after_step(done, rate)

    def on_average(network: Network, done: int) -> None:
        penalty.finish(network)
        watch.on_average(network, done)

    return replace(watch, after_step=after_step, on_average=on_average)


def _measured(hooks: Hooks, monitor: Monitor) -> Hooks:
    """Hooks with the columns of a monitor added."""

    def measure(network: Network) -> Row:
        return {**monitor.columns(network), **hooks.measure(network)}

    def on_rows(rows: Sequence[Row]) -> None:
        monitor.hear(rows)
        hooks.on_rows(rows)

    return replace(hooks, measure=measure, on_rows=on_rows)


def _steered(hooks: Hooks, penalty: GammaPenalty, table: SparsityTable) -> Hooks:
    """Hooks with the column ``strength``, which follows the rows where it is ``auto``."""
    start = penalty.strength

    def measure(network: Network) -> Row:
        return {"strength": penalty.strength, **hooks.measure(network)}

    def on_rows(rows: Sequence[Row]) -> None:
        if table.strength == "auto":
            penalty.strength = strength_after(rows, start, table.guard)
        hooks.on_rows(rows)

    return replace(hooks, measure=measure, on_rows=on_rows)


def _fade_hooks(fade: Fade, watch: Hooks) -> Hooks:
    def after_step(done: int, rate: float) -> None:
        fade.step(done)
        watch.after_step(done, rate)

    def on_average(network: Network, done: int) -> None:
        fade.finish(network, done)
        watch.on_average(network, done)

    return replace(watch, after_step=after_step, on_average=on_average)
