"""The theorem for every method: what it leaves, read from its written cfg, computes what the masked network does.

Every network of the zoo, at three depths of pruning, with and without rounding; narrow where they are large, as they
are where that is quick. And pruning is quick: the whole of it, proof included, for whole networks.
"""

import time
from collections.abc import Callable

import pytest
import torch

from yoloslim.compress.pruning.mask import mask
from yoloslim.compress.pruning.methods import METHODS, PruneSettings, plan_pruning
from yoloslim.compress.pruning.plan import PruningPlan, planned_lanes
from yoloslim.compress.pruning.shrink import shrink
from yoloslim.graph.blocks import residual_blocks
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.lanes import trace_lanes
from yoloslim.graph.to_cfg import to_cfg
from yoloslim.nn.network import Network
from yoloslim.recipes.prune import prune
from yoloslim.zoo.catalog import find, networks

pytestmark = pytest.mark.slow

RandomNetwork = Callable[[Graph, int], Network]

MAX_ERROR = 1e-10
SIDE = 64  # pixels; two cells of the coarsest head map
WIDTHS = {"yolov3-tiny": 1.0, "yolov4-tiny": 1.0, "yolov3tiny-mobilenetv3-small": 1.0}
NARROW = 0.25
MAX_SECONDS, MAX_ANALYSIS_SECONDS = 5.0, 0.3


def plan_of(network: Network, method: str, share: float, round_to: int) -> PruningPlan:
    """Gives a method's plan without that share of the lanes, or, for ``layer``, of the blocks."""
    blocks = len(residual_blocks(network.graph).removable)
    dropped = max(1, round(share * blocks)) if METHODS[method].blocks else None
    percent = 0.0 if method == "layer" else share
    return plan_pruning(network, method, PruneSettings(percent, round_to, normalize="layer", blocks=dropped))


def applicable() -> list[tuple[str, str]]:
    """Gives every pair of a network and a method that it has something for."""
    removable = {name: residual_blocks(find(name)).removable for name in networks()}
    return [
        (name, method) for name in networks() for method in METHODS if removable[name] or not METHODS[method].blocks
    ]


@pytest.mark.parametrize("round_to", [1, 8])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(("name", "method"), applicable())
def test_what_a_method_leaves_is_the_masked_network(
    name: str, method: str, share: float, round_to: int, random_network: RandomNetwork
) -> None:
    network = random_network(find(name, size=(SIDE, SIDE), width=WIDTHS.get(name, NARROW)), 0)
    plan = plan_of(network, method, share, round_to)
    lanes = planned_lanes(network.graph, plan)
    picture = torch.rand(1, 3, SIDE, SIDE, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    small = shrink(network, plan)
    again = Network(parse_cfg(to_cfg(small.graph))).double().eval()
    again.load_state_dict(small.state_dict())

    with torch.inference_mode():
        for masked, found in zip(mask(network, plan)(picture), again(picture), strict=True):
            assert float((masked - found).abs().max() / masked.abs().max()) <= MAX_ERROR
    assert min(int(plan.keep[lane].sum()) for lane in lanes.of.values()) > 0
    assert not plan.keep.all()


@pytest.mark.parametrize("name", networks())
def test_pruning_a_whole_network_takes_seconds_and_its_analysis_less(name: str) -> None:
    network = Network(find(name)).eval()

    start = time.process_time()  # of one core, whatever else the machine does
    trace_lanes(network.graph)
    analysed = time.process_time()
    pruned = prune(network, plan_pruning(network, "slim", PruneSettings(0.5, normalize="layer")))
    done = time.process_time()

    assert pruned.max_abs_diff <= MAX_ERROR
    assert analysed - start < MAX_ANALYSIS_SECONDS
    assert done - start < MAX_SECONDS
