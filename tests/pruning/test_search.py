"""Budgets: what a target says, and that a search meets it or says why not."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from yoloslim.compress.pruning.methods import METHODS, PruneSettings, Ranking, rank
from yoloslim.compress.pruning.plan import PruningPlan
from yoloslim.compress.pruning.scores import DATA_FREE
from yoloslim.compress.pruning.search import Reached, Target, cost_left, parse_target, plan_to_target
from yoloslim.compress.pruning.shrink import shrink
from yoloslim.errors import PlanError
from yoloslim.graph.cost import total_cost
from yoloslim.graph.graph import Graph
from yoloslim.nn.network import Network
from yoloslim.zoo.catalog import find

RandomNetwork = Callable[[Graph, int], Network]


def ranked(network: Network, method: str, **settings: object) -> Ranking:
    chosen = METHODS[method]
    return rank(network.graph, chosen, PruneSettings(**settings), DATA_FREE[chosen.score](network))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("params=0.2", Target("params", 0.2)),
        ("macs=1", Target("macs", 1.0)),
        ("latency_ms=15@onnxruntime", Target("latency_ms", 15.0, "onnxruntime")),
        ("map_drop=0", Target("map_drop", 0.0)),
    ],
)
def test_a_target_reads_as_it_prints(text: str, target: Target) -> None:
    assert parse_target(text) == target
    assert str(target) == text


@pytest.mark.parametrize(
    "text",
    [
        "params",
        "params=",
        "params=0",
        "params=1.1",
        "params=nan",
        "params=0.2@torch",
        "latency_ms=15",
        "latency_ms=inf@torch",
        "latency_ms=-1@torch",
        "map_drop=2",
        "map_drop=-0.1",
        "size=0.3",
    ],
)
def test_a_target_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(PlanError, match="expected params=SHARE, macs=SHARE, latency_ms=NUMBER@BACKEND or map_drop="):
        parse_target(text)


@pytest.mark.parametrize("kind", ["params", "macs"])
@pytest.mark.parametrize("share", [0.2, 0.6])
@pytest.mark.parametrize("method", ["normal", "shortcut", "slim", "layer_channel", "eagleeye"])
def test_a_budget_is_met_within_one_percent(
    method: str, share: float, kind: str, random_network: RandomNetwork
) -> None:
    network = random_network(find("yolov3-mobilenetv3", width=0.5), 0)
    ranking = ranked(network, method, min_keep=0.0, normalize="layer")
    target = parse_target(f"{kind}={share}")

    reached = plan_to_target(ranking, target, cost_left(network.graph, kind))  # type: ignore[arg-type]

    costs = [getattr(total_cost(graph), kind) for graph in (shrink(network, reached.plan).graph, network.graph)]
    assert costs[0] / costs[1] == pytest.approx(reached.left)
    assert 0.99 * share <= reached.left <= share < reached.beyond
    assert reached.note == ""


def test_what_falls_between_two_plans_is_told(random_network: RandomNetwork) -> None:
    network = random_network(find("yolov3-tiny", width=0.25), 0)
    ranking = ranked(network, "regular", round_to=32)
    reached = plan_to_target(ranking, parse_target("params=0.5"), cost_left(network.graph, "params"))
    assert reached.left < 0.495 < 0.5 < reached.beyond
    assert f"the plan leaves {reached.left:.4g}, the next one {reached.beyond:.4g}" in reached.note


def test_a_target_out_of_reach_is_told_with_what_remains(random_network: RandomNetwork) -> None:
    network = random_network(find("yolov3-tiny", width=0.25), 0)
    with pytest.raises(PlanError, match=r"params=0\.2 cannot be reached: method normal leaves 0\.\d+ when it removes"):
        plan_to_target(
            ranked(network, "normal", min_keep=0.8), parse_target("params=0.2"), cost_left(network.graph, "params")
        )


def test_a_method_that_removes_no_channels_has_no_percent_to_search(random_network: RandomNetwork) -> None:
    network = random_network(find("yolov3", width=0.125), 0)
    with pytest.raises(PlanError, match="method layer finds no channel that it may remove"):
        plan_to_target(ranked(network, "layer"), parse_target("params=0.5"), cost_left(network.graph, "params"))


def test_the_most_is_removed_that_loses_no_more_than_allowed(random_network: RandomNetwork) -> None:
    network = random_network(find("yolov3-tiny", width=0.25), 0)
    ranking = ranked(network, "slim")

    def lost(plan: PruningPlan) -> float:
        return float((~plan.keep).mean())

    reached = plan_to_target(ranking, parse_target("map_drop=0.3"), lost)
    assert reached.left <= 0.3 < reached.beyond
    assert reached.left == pytest.approx(0.3, abs=0.01)


def test_a_latency_that_was_missed_is_told(random_network: RandomNetwork) -> None:
    network = random_network(find("yolov3-tiny", width=0.25), 0)
    reached = plan_to_target(ranked(network, "slim"), parse_target("latency_ms=5@torch"), lambda _: 4.97)
    assert isinstance(reached, Reached)
    assert reached.note == ""
    assert math.isinf(reached.beyond)
    assert "6.0 ms were measured in the end" in replace(reached, left=6.0).note
