"""How much to prune so that a given share of the cost, a latency or a loss of accuracy results."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from yoloslim.compress.pruning.methods import Ranking, plan_at
from yoloslim.compress.pruning.plan import PruningPlan
from yoloslim.compress.pruning.shrink import shrunk_graph
from yoloslim.errors import PlanError
from yoloslim.graph.cost import total_cost
from yoloslim.graph.graph import Graph

Budget = Literal["params", "macs", "latency_ms", "map_drop"]
Measure = Callable[[PruningPlan], float]
"""Gives what a plan leaves, in the terms of a target."""

TOLERANCE = 0.01
"""A target is met where no more than this share of it is missing."""

_FORMS = "params=SHARE, macs=SHARE, latency_ms=NUMBER@BACKEND or map_drop=NUMBER"
_STEPS = {"params": 20, "macs": 20, "latency_ms": 10, "map_drop": 7}
"""Halvings of the percent: for costs finer than one lane of any network, for what takes seconds below one percent."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be reached.

    Attributes:
        kind: ``params`` or ``macs``: a share, 0..1, of the whole network's; ``latency_ms`` of one picture by
            ``backend``; ``map_drop``: the AP50, 0..1, that may be lost.
        backend: what runs the network, for a latency.
    """

    kind: Budget
    value: float
    backend: str = ""

    def __str__(self) -> str:
        return f"{self.kind}={self.value:.6g}{f'@{self.backend}' if self.backend else ''}"


@dataclass(frozen=True, slots=True)
class Reached:
    """What a search has found.

    Attributes:
        plan: meets the target.
        left: what it leaves, in the target's terms.
        beyond: what the nearest plan leaves that does not meet it.
    """

    plan: PruningPlan
    target: Target
    left: float
    beyond: float

    @property
    def note(self) -> str:
        """Why the target is not met within its tolerance; empty where it is."""
        kind, value = self.target.kind, self.target.value
        if kind == "map_drop" or abs(self.left - value) <= TOLERANCE * value:
            return ""
        if kind == "latency_ms":
            text = "operators' times add up only roughly, and vary from run to run"
            return f"target {self.target}: {self.left:.1f} ms were measured in the end; {text}"
        found = f"the plan leaves {self.left:.4g}, the next one {self.beyond:.4g}"
        return f"target {self.target} falls between two plans: {found}; channels go in steps (a smaller round helps)"


def parse_target(text: str) -> Target:
    """Gives the target of ``params=0.2``, ``macs=0.5``, ``latency_ms=15@onnxruntime`` or ``map_drop=0.01``.

    Raises:
        PlanError: the text has another form.
    """
    kind, _, rest = text.partition("=")
    number, _, backend = rest.partition("@")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    match kind:
        case "params" | "macs" if 0 < value <= 1 and not backend:
            return Target("params" if kind == "params" else "macs", value)
        case "latency_ms" if 0 < value < math.inf and backend:
            return Target("latency_ms", value, backend)
        case "map_drop" if 0 <= value <= 1 and not backend:
            return Target("map_drop", value)
    raise PlanError(f"target {text}: expected {_FORMS}; a share is what remains, above 0 and up to 1")


def cost_left(graph: Graph, kind: Literal["params", "macs"]) -> Measure:
    """Gives the measure of what share of a network's cost a plan leaves; no network is built for it."""
    whole = getattr(total_cost(graph), kind)
    return lambda plan: float(getattr(total_cost(shrunk_graph(graph, plan)), kind) / whole)


def plan_to_target(ranking: Ranking, target: Target, left: Measure) -> Reached:
    """Gives the plan that removes the least and meets a target; of ``map_drop``, the one that removes the most.

    Args:
        left: falls as the percent grows; for ``map_drop`` it grows.

    Raises:
        PlanError: the method cannot reach the target even when it removes all it may.
    """
    if not ranking.removable.any():
        raise PlanError(f"target {target}: method {ranking.method.name} finds no channel that it may remove")
    if target.kind == "map_drop":
        return _most_within(ranking, target, left)
    return _least_below(ranking, target, left)


def _least_below(ranking: Ranking, target: Target, left: Measure) -> Reached:
    best = plan_at(ranking, 1.0)
    found, beyond = left(best), math.inf
    if found > target.value:
        text = f"method {ranking.method.name} leaves {found:.4g} when it removes all it may"
        raise PlanError(f"target {target} cannot be reached: {text}; lower min_keep or round, or ask for more")
    low, high = 0.0, 1.0
    for _ in range(_STEPS[target.kind]):
        middle = (low + high) / 2
        plan = plan_at(ranking, middle)
        if (value := left(plan)) <= target.value:
            best, found, high = plan, value, middle
        else:
            beyond, low = value, middle
    return Reached(best, target, found, beyond)


def _most_within(ranking: Ranking, target: Target, left: Measure) -> Reached:
    best, found, beyond = plan_at(ranking, 0.0), 0.0, math.nan
    low, high = 0.0, 1.0
    for _ in range(_STEPS[target.kind]):
        middle = (low + high) / 2
        plan = plan_at(ranking, middle)
        if (value := left(plan)) <= target.value:
            best, found, low = plan, value, middle
        else:
            beyond, high = value, middle
    return Reached(best, target, found, beyond)
