"""Accuracy and cost over the percent: where the knee is, and where accuracy falls off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from yoloslim.compress.pruning.methods import Ranking, plan_at
from yoloslim.compress.pruning.plan import PruningPlan
from yoloslim.graph.cost import total_cost
from yoloslim.nn.network import Network

COARSE = tuple(round(0.1 * step, 2) for step in range(10))
"""Percents that every sweep looks at."""

FINE = 0.01
"""How near two percents come where accuracy falls most."""

Prune = Callable[[PruningPlan], Network]


@dataclass(frozen=True, slots=True)
class Point:
    """What one percent gives.

    Attributes:
        percent: share of the removable lanes, 0..1.
        map50: of the pruned network without fine-tuning, 0..1.
        latency_ms: of one picture by each backend, in the order that was asked for.
    """

    percent: float
    plan: PruningPlan
    params: int
    macs: int
    map50: float
    latency_ms: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Sweep:
    """Points by their percent, and what they show.

    Attributes:
        points: at least two.
        knee: the point beyond which accuracy falls faster than the percent grows; None where it does so from the start.
        cliff: the two neighbouring points between which accuracy falls most.
    """

    points: tuple[Point, ...]
    knee: Point | None
    cliff: tuple[Point, Point]


def sweep(
    ranking: Ranking,
    prune: Prune,
    accuracy: Callable[[Network], float],
    latencies: Sequence[Callable[[Network], float]] = (),
    progress: Callable[[int], None] | None = None,
) -> Sweep:
    """Gives the points of a coarse grid, and finer ones where accuracy falls most.

    Args:
        prune: gives the network that a plan leaves.
        accuracy: gives the AP50 of a network.
        latencies: each gives milliseconds of a network.
        progress: called with the number of points so far.
    """
    points: list[Point] = []

    def look(percent: float) -> None:
        plan = plan_at(ranking, percent)
        small = prune(plan)
        cost = total_cost(small.graph)
        times = tuple(latency(small) for latency in latencies)
        points.append(Point(percent, plan, cost.params, cost.macs, accuracy(small), times))
        points.sort(key=lambda point: point.percent)
        if progress is not None:
            progress(len(points))

    for percent in COARSE:
        look(percent)
    while (middle := _between(steepest(points))) is not None:
        look(middle)
    return Sweep(tuple(points), knee_of(points), steepest(points))


def steepest(points: Sequence[Point]) -> tuple[Point, Point]:
    """Gives the two neighbouring points between which AP50 falls most."""
    return max(pairwise(points), key=lambda pair: pair[0].map50 - pair[1].map50)


def knee_of(points: Sequence[Point]) -> Point | None:
    """Gives the point farthest above the line from the first to the last, both axes from 0 to 1; None if none is.

    After Satopaa et al., Finding a "Kneedle" in a Haystack, 2011.
    """
    percents = np.array([point.percent for point in points])
    scores = np.array([point.map50 for point in points])
    spans = np.ptp(percents), scores[0] - scores[-1]
    if min(spans) <= 0:
        return points[-1] if spans[0] > 0 else None  # accuracy does not fall at all
    above = (percents - percents[0]) / spans[0] + (scores - scores[-1]) / spans[1] - 1
    place = int(np.argmax(above))
    return points[place] if above[place] > FINE else None


def _between(pair: tuple[Point, Point]) -> float | None:
    """The percent in the middle of two points; None where they are near enough."""
    low, high = pair[0].percent, pair[1].percent
    return round((low + high) / 2, 2) if high - low > FINE + 1e-9 else None
