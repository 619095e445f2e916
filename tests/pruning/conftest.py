"""Networks with random tensors and plans with random lanes, both in float64 and repeatable."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from yoloslim.compress.pruning.balance import put_back
from yoloslim.compress.pruning.plan import PruningPlan
from yoloslim.compress.pruning.select import with_floor
from yoloslim.graph.blocks import lanes_without, residual_blocks
from yoloslim.graph.graph import Graph
from yoloslim.graph.lanes import Lanes, trace_lanes
from yoloslim.nn.network import Network

RandomNetwork = Callable[[Graph, int], Network]
RandomPlan = Callable[[Graph, float, int], PruningPlan]


def randomise(module: nn.Module, seed: int) -> None:
    """Fills every tensor so that signals keep their size and no two channels are alike."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if tensor.ndim == 4:
            tensor.normal_(std=(2 / tensor[0].numel()) ** 0.5, generator=generator)
        elif name.endswith(("norm.weight", "norm.running_var")):
            tensor.uniform_(0.5, 1.5, generator=generator)
        else:
            tensor.normal_(std=0.5, generator=generator)


def random_keep(lanes: Lanes, removed: float, seed: int) -> np.ndarray:
    """Removes a share of the lanes that are not fixed, then puts back what must stay."""
    generator = np.random.default_rng(seed)
    free = np.flatnonzero(~lanes.fixed)
    keep = np.ones(lanes.count, dtype=bool)
    keep[generator.permutation(free)[: round(removed * len(free))]] = False
    scores = generator.random(lanes.count)
    return put_back(with_floor(keep, scores, lanes, min_keep=0), scores, lanes)


@pytest.fixture(scope="session")
def random_network() -> RandomNetwork:
    """Gives a float64 network in evaluation mode, for a graph and a seed."""

    def make(graph: Graph, seed: int) -> Network:
        network = Network(graph).double().eval()
        randomise(network, seed)
        return network

    return make


@pytest.fixture(scope="session")
def random_plan() -> RandomPlan:
    """Gives a plan without about that share of the lanes that are not fixed, for a graph and a seed."""

    def make(graph: Graph, removed: float, seed: int) -> PruningPlan:
        return PruningPlan(random_keep(trace_lanes(graph), removed, seed))

    return make


@pytest.fixture(scope="session")
def random_plan_with_blocks() -> RandomPlan:
    """Gives a plan that also drops each residual block that can be dropped with that probability."""

    def make(graph: Graph, removed: float, seed: int) -> PruningPlan:
        generator = np.random.default_rng(seed)
        blocks = [block.shortcut for block in residual_blocks(graph).removable]
        dropped = tuple(name for name in blocks if generator.random() < removed)
        return PruningPlan(random_keep(lanes_without(graph, dropped), removed, seed), dropped=dropped)

    return make
