"""Methods: what they leave alone, and that no setting breaks a network."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from yoloslim.compress.pruning.methods import METHODS, PruneSettings, plan_pruning
from yoloslim.compress.pruning.plan import PruningPlan, check_plan
from yoloslim.errors import PlanError
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.lanes import trace_lanes
from yoloslim.nn.network import Network
from yoloslim.zoo.catalog import find, networks

RandomNetwork = Callable[[Graph, int], Network]

NET = "[net]\nwidth=16\nheight=16\nchannels=3\n"
IMAGE = 3  # lanes of the image come first


def conv(filters: int, *more: str, norm: int = 1) -> str:
    return "\n".join(["[convolutional]", f"batch_normalize={norm}", f"filters={filters}", *more, ""])


def planned(text: str, percent: float, scales: dict[int, list[float]], **settings: float) -> list[bool]:
    """Gives the lanes that ``normal`` keeps, those of the image aside, for gammas by layer."""
    network = Network(parse_cfg(NET + text))
    for index, gamma in scales.items():
        network.state_dict()[f"{index:03d}_convolutional.norm.weight"].copy_(torch.tensor(gamma))
    plan = plan_pruning(network, "normal", PruneSettings(percent, **settings))  # type: ignore[arg-type]
    return plan.keep[IMAGE:].tolist()


def test_normal_leaves_lanes_tied_by_a_shortcut() -> None:
    text = conv(2) + conv(3) + conv(2) + "[shortcut]\nfrom=0\n" + conv(2)
    scales = {0: [0, 0.0], 1: [0.5, 0, 0.6], 2: [0, 0.0], 4: [0.1, 0.9]}
    assert planned(text, 0.4, scales) == [True, True, True, False, True, False, True]


def test_normal_leaves_lanes_that_feed_an_upsampling() -> None:
    text = conv(2) + conv(2) + "[upsample]\n"
    assert planned(text, 0.5, {0: [0.9, 0.8], 1: [0, 0.0]}) == [True, False, True, True]


def test_normal_leaves_lanes_with_a_writer_without_batch_norm() -> None:
    assert planned(conv(2) + conv(2, norm=0), 0.5, {0: [0.9, 0.8]}) == [True, False, True, True]


def test_the_gamma_of_a_depthwise_convolution_can_save_a_lane() -> None:
    text = conv(3) + conv(3, "groups=3")
    assert planned(text, 0.34, {0: [0.1, 0.2, 0.3], 1: [0.9, 0.0, 0.0]}) == [True, False, True]


def test_percent_counts_the_lanes_that_may_go_and_not_their_writers() -> None:
    text = conv(4) + conv(4, "groups=4") + conv(4, "groups=4") + conv(2)
    scales = {0: [0.1, 0.2, 0.9, 0.9], 1: [0.1, 0.2, 0.9, 0.9], 2: [0.1, 0.2, 0.9, 0.9], 3: [0.3, 0.4]}
    assert planned(text, 0.5, scales) == [False, False, True, True, False, True]


def test_layers_can_lose_about_the_same_share_each() -> None:
    scales = {0: [1.0, 2.0, 3.0, 4.0], 1: [0.01, 0.02, 0.03, 0.04]}
    assert planned(conv(4) + conv(4), 0.5, scales) == [True] * 4 + [False] * 3 + [True]
    assert planned(conv(4) + conv(4), 0.5, scales, normalize="layer") == [False, False, True, True] * 2  # type: ignore[arg-type]


def test_counts_are_rounded_up_to_a_multiple() -> None:
    kept = planned(conv(16) + conv(2), 0.5, {0: [i / 16 for i in range(16)], 1: [2.0, 2.0]}, round_to=8)
    assert kept == [False] * 0 + [i >= 8 for i in range(16)] + [True, True]


@pytest.mark.parametrize("min_keep", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", sorted(networks()))
def test_a_floor_holds_and_no_layer_is_emptied_when_everything_may_go(
    name: str, method: str, min_keep: float, random_network: RandomNetwork
) -> None:
    network = random_network(find(name, width=0.25), 0)
    lanes = trace_lanes(network.graph)

    plan = plan_pruning(network, method, PruneSettings(1.0, min_keep=min_keep))

    check_plan(plan, lanes)
    shares = [plan.keep[lane].sum() / len(lane) for lane in lanes.of.values()]
    assert min(shares) > 0
    assert all(plan.keep[lane].sum() >= max(1, round(min_keep * len(lane))) for lane in lanes.of.values())
    assert plan.keep.mean() < 1


@pytest.mark.parametrize("name", sorted(networks()))
def test_nothing_goes_at_zero_percent(name: str, random_network: RandomNetwork) -> None:
    network = random_network(find(name, width=0.25), 0)
    assert plan_pruning(network, "normal", PruneSettings(0.0)).keep.all()


def test_a_plan_names_its_method_and_settings(random_network: RandomNetwork) -> None:
    network = random_network(find("yolov3-tiny", width=0.25), 0)
    plan = plan_pruning(network, "normal", PruneSettings(0.3, round_to=4))
    assert plan.method == "normal"
    assert plan.options == {"percent": 0.3, "round_to": 4, "min_keep": 0.01, "normalize": "none"}


def test_planning_leaves_the_network_as_it_was(random_network: RandomNetwork) -> None:
    network = random_network(find("yolov3-tiny", width=0.25), 0)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    first, second = (plan_pruning(network, "normal", PruneSettings(0.5)) for _ in range(2))

    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert isinstance(first, PruningPlan)
    np.testing.assert_array_equal(first.keep, second.keep)


def test_an_unknown_method_is_refused_with_those_known(random_network: RandomNetwork) -> None:
    network = random_network(parse_cfg(NET + conv(2)), 0)
    with pytest.raises(PlanError, match="no pruning method 'magic'; known: normal"):
        plan_pruning(network, "magic", PruneSettings(0.5))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"percent": 30}, "percent is a share from 0 to 1, found 30"),
        ({"percent": -0.1}, "percent is a share from 0 to 1, found -0.1"),
        ({"percent": float("nan")}, "percent is a share from 0 to 1, found nan"),
        ({"percent": 0.5, "min_keep": 1.5}, "min_keep is a share from 0 to 1, found 1.5"),
        ({"percent": 0.5, "round_to": 0}, "multiple of 1 or more, found 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        PruneSettings(**settings)  # type: ignore[arg-type]
