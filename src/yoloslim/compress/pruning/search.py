"""How much to prune so that a given share of the cost remains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from yoloslim.compress.pruning.methods import PruneSettings, plan_pruning
from yoloslim.compress.pruning.plan import PruningPlan
from yoloslim.errors import PlanError
from yoloslim.graph.cost import total_cost
from yoloslim.graph.lanes import trace_lanes
from yoloslim.graph.resize import select_lanes
from yoloslim.nn.network import Network

Budget = Literal["params", "macs"]

_STEPS = 20  # halvings of the percent: finer than one lane of any network


def parse_target(text: str) -> tuple[Budget, float]:
    """Gives the budget and the share of ``params=0.25`` or ``macs=0.5``.

    Raises:
        PlanError: the text has another form.
    """
    kind, _, number = text.partition("=")
    try:
        share = float(number)
    except ValueError:
        share = -1.0
    if kind not in ("params", "macs") or not 0 < share <= 1:
        raise PlanError(f"target {text}: expected params=SHARE or macs=SHARE of what remains, above 0 and up to 1")
    return ("params" if kind == "params" else "macs"), share


def plan_to_target(network: Network, method: str, settings: PruneSettings, target: str) -> PruningPlan:
    """Gives the plan that removes the least and leaves at most the target's share of the cost.

    No network is built on the way: cost follows from the graph and the plan.

    Args:
        settings: of the method; its percent is what is searched.

    Raises:
        PlanError: the target is malformed, or the method cannot reach it even when it removes all it may.
    """
    budget, share = parse_target(target)
    lanes = trace_lanes(network.graph)
    whole = getattr(total_cost(network.graph), budget)

    def plan_at(percent: float) -> tuple[PruningPlan, float]:
        plan = plan_pruning(network, method, replace(settings, percent=percent))
        return plan, getattr(total_cost(select_lanes(network.graph, lanes, plan.keep)), budget) / whole

    return _bisect(plan_at, share, target, method)


def _bisect(
    plan_at: Callable[[float], tuple[PruningPlan, float]], share: float, target: str, method: str
) -> PruningPlan:
    best, least = plan_at(1.0)
    if least > share:
        text = f"method {method} leaves {least:.3f} when it removes all it may"
        raise PlanError(f"target {target} cannot be reached: {text}; lower min_keep or choose a larger share")
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        plan, left = plan_at(middle)
        if left <= share:
            best, high = plan, middle
        else:
            low = middle
    return best
