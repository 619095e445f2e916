"""The theorem: a shrunk network, read from its written cfg, computes what the masked one does."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from yoloslim.compress.pruning.mask import mask
from yoloslim.compress.pruning.plan import PruningPlan
from yoloslim.compress.pruning.shrink import shrink
from yoloslim.errors import PlanError
from yoloslim.graph.blocks import branch_nodes, residual_blocks
from yoloslim.graph.cost import total_cost
from yoloslim.graph.from_cfg import parse_cfg, read_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.lanes import trace_lanes
from yoloslim.graph.to_cfg import to_cfg
from yoloslim.nn.network import Network
from yoloslim.runtime.load import load
from yoloslim.zoo.catalog import find, networks

PUBLISHED = (
    "yolov3-tiny",
    "yolo-fastest-1.1",
    "yolo-fastest-1.1-xl",
    "MobileNetV2-YOLOv3-Nano-coco",
    "yoloface-500k",
)
MAX_ERROR = 1e-10
SIDE = 64  # pixels; two cells of the coarsest head map

RandomNetwork = Callable[[Graph, int], Network]
RandomPlan = Callable[[Graph, float, int], PruningPlan]


def through_its_text(small: Network) -> Network:
    """Gives the network as another program would: from the cfg text and the tensors."""
    again = Network(parse_cfg(to_cfg(small.graph))).double().eval()
    again.load_state_dict(small.state_dict())
    return again


def largest_error(expected: list[Tensor], found: list[Tensor]) -> float:
    """Gives the largest difference of the head maps, relative to the largest value of each."""
    pairs = zip(expected, found, strict=True)
    return float(torch.stack([(a - b).abs().max() / a.abs().max() for a, b in pairs]).max())


def error_after(network: Network, plan: PruningPlan, side: int = SIDE) -> float:
    """Shrinks the network and gives the largest difference from the masked one on a random picture."""
    picture = torch.rand(1, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        masked = mask(network, plan)(picture)
        return largest_error(masked, through_its_text(shrink(network, plan))(picture))


@pytest.mark.parametrize("removed", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("name", sorted(networks()))
def test_a_narrow_network_of_the_zoo_shrinks_exactly(
    name: str, removed: float, random_network: RandomNetwork, random_plan_with_blocks: RandomPlan
) -> None:
    graph = find(name, size=(SIDE, SIDE), width=0.125)

    assert error_after(random_network(graph, 0), random_plan_with_blocks(graph, removed, 1)) <= MAX_ERROR


def test_a_dropped_branch_counts_for_nothing(random_network: RandomNetwork, random_plan: RandomPlan) -> None:
    graph = find("yolov3", size=(SIDE, SIDE), width=0.125)
    network, picture = random_network(graph, 0), torch.rand(1, 3, SIDE, SIDE, dtype=torch.float64)
    dropped = tuple(block.shortcut for block in residual_blocks(graph).removable[3:5])
    plan = replace(random_plan(graph, 0.0, 1), dropped=dropped)
    with torch.inference_mode():
        masked = mask(network, plan)(picture)
        for name in branch_nodes(graph, dropped):
            for key in ("norm.weight", "norm.bias"):
                network.state_dict()[f"{name}.{key}"].zero_()
        assert largest_error(network(picture), masked) < 1e-14
        assert len(shrink(network, plan).graph) == len(graph) - 6


@pytest.mark.slow
@pytest.mark.parametrize("removed", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("name", sorted(networks()))
def test_a_network_of_the_zoo_shrinks_exactly(
    name: str, removed: float, random_network: RandomNetwork, random_plan_with_blocks: RandomPlan
) -> None:
    graph = find(name)

    assert error_after(random_network(graph, 0), random_plan_with_blocks(graph, removed, 1), side=96) <= MAX_ERROR


@pytest.mark.parametrize("removed", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_network_shrinks_exactly_with_its_weights(
    name: str, removed: float, weights_dir: Path, random_plan_with_blocks: RandomPlan
) -> None:
    graph = read_cfg(weights_dir / f"{name}.cfg")
    network = load(weights_dir / f"{name}.weights", graph).network.double()

    assert error_after(network, random_plan_with_blocks(graph, removed, 1)) <= MAX_ERROR


@pytest.mark.parametrize("removed", [0.2, 0.5, 0.9])
def test_a_plan_removes_as_much_as_it_says(removed: float, random_plan: RandomPlan) -> None:
    graph = find("yolov3", width=0.25)
    free = ~trace_lanes(graph).fixed
    assert (~random_plan(graph, removed, 1).keep)[free].mean() == pytest.approx(removed, abs=0.02)


def test_a_wrong_tensor_is_seen_by_the_comparison(random_network: RandomNetwork, random_plan: RandomPlan) -> None:
    graph = find("yolov3-tiny", size=(SIDE, SIDE), width=0.25)
    network, plan = random_network(graph, 0), random_plan(graph, 0.5, 1)
    small = shrink(network, plan)
    weight = small.get_submodule("000_convolutional").get_parameter("conv.weight")
    picture = torch.rand(1, 3, SIDE, SIDE, dtype=torch.float64)
    with torch.inference_mode():
        weight[0] = -weight[0]
        assert largest_error(mask(network, plan)(picture), small(picture)) > 1e-4


def test_a_mask_that_keeps_everything_changes_nothing(random_network: RandomNetwork, random_plan: RandomPlan) -> None:
    graph = find("yolov4-tiny", size=(SIDE, SIDE), width=0.25)
    network, picture = random_network(graph, 0), torch.rand(1, 3, SIDE, SIDE, dtype=torch.float64)
    with torch.inference_mode():
        assert largest_error(network(picture), mask(network, random_plan(graph, 0.0, 1))(picture)) == 0


def test_shrinking_gives_a_smaller_network_and_leaves_its_input_alone(
    random_network: RandomNetwork, random_plan: RandomPlan
) -> None:
    network = random_network(find("yolov4-tiny", width=0.25), 0)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    small = shrink(network.train(), random_plan(network.graph, 0.5, 1))

    assert total_cost(small.graph).params < 0.5 * total_cost(network.graph).params
    assert network.training
    assert not small.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert {t.dtype for t in small.state_dict().values()} == {torch.float64}


def test_a_network_shrunk_twice_is_that_masked_by_both_plans(
    random_network: RandomNetwork, random_plan: RandomPlan
) -> None:
    once = shrink(network := random_network(find("yolov4-tiny", width=0.25), 0), random_plan(network.graph, 0.4, 1))
    assert error_after(once, random_plan(once.graph, 0.4, 2)) <= MAX_ERROR


@pytest.mark.parametrize("apply", [mask, shrink])
def test_a_plan_for_another_network_is_refused(
    apply: Callable[[Network, PruningPlan], object], random_network: RandomNetwork, random_plan: RandomPlan
) -> None:
    network = random_network(find("yolov3-tiny", width=0.25), 0)
    with pytest.raises(PlanError, match="it was made for another cfg"):
        apply(network, random_plan(find("yolov4-tiny", width=0.25), 0.5, 1))
