"""A sweep: coarse, then fine where accuracy falls; the knee and the cliff."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from yoloslim.compress.pruning.methods import METHODS, PruneSettings, Ranking, rank
from yoloslim.compress.pruning.plan import PruningPlan
from yoloslim.compress.pruning.scores import gamma_scores
from yoloslim.compress.pruning.shrink import shrink
from yoloslim.graph.cost import total_cost
from yoloslim.nn.network import Network
from yoloslim.recipes.sweep import COARSE, Point, Sweep, knee_of, sweep
from yoloslim.zoo.catalog import find


@pytest.fixture(scope="module")
def network() -> Network:
    made = Network(find("yolov3-tiny", size=(64, 64), width=0.125)).eval()
    for name, tensor in made.state_dict().items():
        if name.endswith("norm.weight"):
            tensor.uniform_(0.1, 1)
    return made


@pytest.fixture(scope="module")
def ranking(network: Network) -> Ranking:
    return rank(network.graph, METHODS["slim"], PruneSettings(), gamma_scores(network))


def swept(ranking: Ranking, network: Network, accuracy_at: Callable[[float], float]) -> Sweep:
    """Sweeps with an accuracy that depends on the percent alone."""
    percents: list[float] = []

    def prune(plan: PruningPlan) -> Network:
        percents.append(float(plan.options["percent"]))  # type: ignore[arg-type]
        return shrink(network, plan)

    return sweep(ranking, prune, lambda _: accuracy_at(percents[-1]), [lambda small: float(len(small.graph))])


@pytest.mark.parametrize("cliff", [0.035, 0.435, 0.895])
def test_the_cliff_is_found_to_one_percent(cliff: float, ranking: Ranking, network: Network) -> None:
    found = swept(ranking, network, lambda percent: 0.8 if percent < cliff else 0.1)
    low, high = found.cliff
    assert low.percent < cliff < high.percent
    assert high.percent - low.percent == pytest.approx(0.01)
    assert found.knee == low
    assert len(found.points) <= len(COARSE) + 5


def test_the_knee_is_where_a_plateau_ends(ranking: Ranking, network: Network) -> None:
    found = swept(ranking, network, lambda percent: 0.8 - 0.02 * percent - max(0.0, percent - 0.6) * 2)
    assert found.knee is not None
    assert found.knee.percent == pytest.approx(0.6, abs=0.051)


def test_accuracy_that_falls_from_the_start_has_no_knee(ranking: Ranking, network: Network) -> None:
    assert swept(ranking, network, lambda percent: 0.8 * (1 - percent) ** 3).knee is None


def test_accuracy_that_never_falls_suggests_the_most(ranking: Ranking, network: Network) -> None:
    found = swept(ranking, network, lambda percent: 0.8)
    assert found.knee == found.points[-1]


def test_points_rise_by_percent_with_their_own_plans_and_costs(ranking: Ranking, network: Network) -> None:
    found = swept(ranking, network, lambda percent: 0.8 if percent < 0.5 else 0.1)
    assert all(a.percent < b.percent and a.params >= b.params and a.macs >= b.macs for a, b in pairwise(found.points))
    assert {*COARSE} <= {point.percent for point in found.points}
    for point in found.points:
        small = shrink(network, point.plan)
        assert (point.params, point.latency_ms) == (total_cost(small.graph).params, (float(len(small.graph)),))


def test_progress_counts_the_points(ranking: Ranking, network: Network) -> None:
    told: list[int] = []
    found = sweep(ranking, lambda plan: shrink(network, plan), lambda _: 0.5, progress=told.append)
    assert told == list(range(1, len(found.points) + 1))


def test_two_points_are_enough_for_a_knee() -> None:
    plan = PruningPlan(np.ones(1, dtype=bool))
    points = [Point(0.0, plan, 2, 2, 0.8, ()), Point(0.9, plan, 1, 1, 0.1, ())]
    assert knee_of(points) is None
