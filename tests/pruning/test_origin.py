"""A pruned network knows which channel of the first network each of its channels was."""

from collections.abc import Callable

import numpy as np
import torch

from yoloslim.compress.pruning.origin import Origin, origin_of
from yoloslim.compress.pruning.plan import PruningPlan, cfg_digest
from yoloslim.compress.pruning.shrink import shrink
from yoloslim.graph.graph import Graph
from yoloslim.graph.lanes import trace_lanes
from yoloslim.nn.network import Network
from yoloslim.zoo.catalog import find

RandomNetwork = Callable[[Graph, int], Network]
RandomPlan = Callable[[Graph, float, int], PruningPlan]


def assert_tensors_are_those_of_their_origin(small: Network, whole: Network, origin: Origin) -> None:
    """Every batch-norm of the small network holds the numbers of the channels that it says it came from."""
    state = whole.state_dict()
    compared = 0
    for name, tensor in small.state_dict().items():
        node, _, key = name.partition(".")
        if key == "norm.bias":
            source = origin["nodes"][node]
            torch.testing.assert_close(tensor, state[f"{source['node']}.{key}"][source["channels"]], rtol=0, atol=0)
            compared += 1
    assert compared > 5


def test_every_channel_leads_back_to_the_first_network(
    random_network: RandomNetwork, random_plan_with_blocks: RandomPlan
) -> None:
    network = random_network(find("yolov3", width=0.125), 0)
    plan = random_plan_with_blocks(network.graph, 0.5, 1)
    small = shrink(network, plan)

    origin = origin_of(network.graph, plan, {})

    assert plan.dropped
    assert list(origin["nodes"]) == [node.name for node in small.graph]
    assert origin["cfg_sha256"] == cfg_digest(network.graph)
    assert_tensors_are_those_of_their_origin(small, network, origin)


def test_a_second_pruning_leads_back_to_the_first_network_too(
    random_network: RandomNetwork, random_plan_with_blocks: RandomPlan
) -> None:
    network = random_network(find("yolov3-mobilenetv3", width=0.25), 0)
    first = random_plan_with_blocks(network.graph, 0.3, 1)
    once = shrink(network, first)
    second = random_plan_with_blocks(once.graph, 0.3, 2)

    origin = origin_of(once.graph, second, origin_of(network.graph, first, {}))

    assert origin["cfg_sha256"] == cfg_digest(network.graph)
    assert_tensors_are_those_of_their_origin(shrink(once, second), network, origin)


def test_a_plan_that_removes_nothing_keeps_every_channel(random_network: RandomNetwork) -> None:
    graph = find("yolov3-tiny", width=0.125)
    network = random_network(graph, 0)
    plan = PruningPlan(np.ones(trace_lanes(graph).count, dtype=bool))
    origin = origin_of(graph, plan, {})
    assert all(kept["node"] == name for name, kept in origin["nodes"].items())
    assert all(kept["channels"] == list(range(len(kept["channels"]))) for kept in origin["nodes"].values())
    assert_tensors_are_those_of_their_origin(network, network, origin)
