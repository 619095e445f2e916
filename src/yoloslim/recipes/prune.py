"""Pruning as one workflow: plan, fold, shrink, proof, optional re-estimation of batch-norm statistics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from yoloslim.compress.pruning.fold import fold
from yoloslim.compress.pruning.methods import PruneSettings, plan_pruning
from yoloslim.compress.pruning.plan import PruningPlan
from yoloslim.compress.pruning.search import plan_to_target
from yoloslim.compress.pruning.shrink import shrink
from yoloslim.compress.pruning.verify import max_abs_diff
from yoloslim.engine.recalibrate import recalibrate
from yoloslim.nn.network import Network
from yoloslim.recipes.schema import PruneTable


@dataclass(frozen=True, slots=True)
class Pruned:
    """What pruning gives.

    Attributes:
        network: the small network.
        max_abs_diff: largest relative difference between its head maps and the masked network's, in float64.
    """

    network: Network
    max_abs_diff: float


def planned(network: Network, table: PruneTable) -> PruningPlan:
    """Gives the plan that a recipe's ``[prune]`` makes for a network.

    Raises:
        PlanError: the target cannot be reached.
    """
    settings = PruneSettings(table.percent or 0.0, table.round, table.min_keep, table.normalize)
    if table.target:
        return plan_to_target(network, table.method, settings, table.target)
    return plan_pruning(network, table.method, settings)


def prune(network: Network, plan: PruningPlan, *, folding: bool = True, batches: Iterable[Tensor] = ()) -> Pruned:
    """Gives the network without the plan's removed channels.

    Args:
        folding: move what removed channels added on average into the layers that read them.
        batches: pictures, shape (B, C, H, W), RGB in 0..1, to measure batch-norm statistics on anew; none keeps them.

    Raises:
        PlanError: the plan does not fit the network.
    """
    prepared = fold(network, plan) if folding else network
    small = shrink(prepared, plan)
    difference = max_abs_diff(prepared, small, plan)
    batches = list(batches)
    return Pruned(recalibrate(small, batches) if batches else small, difference)
