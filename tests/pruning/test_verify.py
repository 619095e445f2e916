"""The proof that goes with every pruned network: small where it is right, large or no number where it is not."""

import math
from collections.abc import Callable

import pytest
import torch

from yoloslim.compress.pruning.plan import PruningPlan
from yoloslim.compress.pruning.shrink import shrink
from yoloslim.compress.pruning.verify import max_abs_diff
from yoloslim.errors import PlanError
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.nn.network import Network
from yoloslim.zoo.catalog import find

RandomNetwork = Callable[[Graph, int], Network]
RandomPlan = Callable[[Graph, float, int], PruningPlan]

NET = "[net]\nwidth=32\nheight=32\nchannels=3\n"
HEAD = "[convolutional]\nfilters=6\nactivation=linear\n[yolo]\nmask=0\nclasses=1\nanchors=4,4\n"
TWO_HEADS = NET + "[convolutional]\nfilters=4\n" + HEAD + "[route]\nlayers=0\n" + HEAD


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_shrunk_network_is_within_rounding_of_the_masked_one(
    dtype: torch.dtype, random_network: RandomNetwork, random_plan: RandomPlan
) -> None:
    network = random_network(find("yolov4-tiny", width=0.25), 0).to(dtype)
    plan = random_plan(network.graph, 0.5, 1)
    assert max_abs_diff(network, shrink(network, plan), plan) < 1e-12
    assert {tensor.dtype for tensor in network.state_dict().values()} == {dtype}


@pytest.mark.parametrize("name", ["001_convolutional", "004_convolutional"])
def test_a_wrong_weight_under_any_head_is_seen(
    name: str, random_network: RandomNetwork, random_plan: RandomPlan
) -> None:
    network = random_network(parse_cfg(TWO_HEADS), 0)
    plan = random_plan(network.graph, 0.5, 1)
    small = shrink(network, plan)
    small.state_dict()[f"{name}.conv.bias"][0] += 1
    assert max_abs_diff(network, small, plan) > 1e-2


@pytest.mark.parametrize("name", ["001_convolutional", "004_convolutional"])
def test_what_is_not_a_number_is_never_called_equal(
    name: str, random_network: RandomNetwork, random_plan: RandomPlan
) -> None:
    network = random_network(parse_cfg(TWO_HEADS), 0)
    plan = random_plan(network.graph, 0.5, 1)
    network.state_dict()[f"{name}.conv.bias"][0] = float("nan")
    assert math.isnan(max_abs_diff(network, shrink(network, plan), plan))


@pytest.mark.parametrize(
    "layers",
    [
        "[convolutional]\nfilters=4\nsize=3\n" * 4,
        "[convolutional]\nfilters=4\nsize=9\n",
        "[convolutional]\nfilters=4\nsize=3\nstride=3\n[convolutional]\nfilters=4\nsize=5\n",
        "[convolutional]\nfilters=4\nsize=4\nstride=4\n[maxpool]\nsize=2\nstride=2\n[upsample]\nstride=2\n"
        "[shortcut]\nfrom=0\n",
    ],
)
def test_the_proof_works_for_networks_that_cannot_read_a_small_picture(
    layers: str, random_network: RandomNetwork, random_plan: RandomPlan
) -> None:
    network = random_network(parse_cfg(NET + layers + HEAD), 0)
    plan = random_plan(network.graph, 0.5, 1)
    assert max_abs_diff(network, shrink(network, plan), plan) < 1e-12


def test_a_network_without_heads_has_nothing_to_prove(random_network: RandomNetwork, random_plan: RandomPlan) -> None:
    network = random_network(parse_cfg(NET + "[convolutional]\nfilters=4\n"), 0)
    plan = random_plan(network.graph, 0.5, 1)
    with pytest.raises(PlanError, match=r"the network has no \[yolo\] layer"):
        max_abs_diff(network, shrink(network, plan), plan)


def test_a_network_without_weights_is_shrunk_to_itself(random_network: RandomNetwork, random_plan: RandomPlan) -> None:
    text = NET.replace("channels=3", "channels=6") + "[yolo]\nmask=0\nclasses=1\nanchors=4,4\n"
    network = random_network(parse_cfg(text), 0)
    plan = random_plan(network.graph, 0.5, 1)
    assert max_abs_diff(network, shrink(network, plan), plan) == 0
