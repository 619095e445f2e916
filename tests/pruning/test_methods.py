"""Methods: what they leave alone, and that no setting breaks a network."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from yoloslim.compress.pruning.methods import METHODS, Method, PruneSettings, plan_at, plan_pruning, rank
from yoloslim.compress.pruning.plan import PruningPlan, planned_lanes
from yoloslim.compress.pruning.scores import gamma_scores
from yoloslim.errors import PlanError
from yoloslim.graph.blocks import residual_blocks
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.nn.network import Network
from yoloslim.zoo.catalog import find, networks

RandomNetwork = Callable[[Graph, int], Network]

NET = "[net]\nwidth=16\nheight=16\nchannels=3\n"
IMAGE = 3  # lanes of the image come first


def conv(filters: int, *more: str, norm: int = 1) -> str:
    return "\n".join(["[convolutional]", f"batch_normalize={norm}", f"filters={filters}", *more, ""])


def planned(text: str, percent: float, scales: dict[int, list[float]], **settings: float) -> list[bool]:
    """Gives the lanes that ``normal`` keeps, those of the image aside, for gammas by layer."""
    return plan_of(METHODS["normal"], text, percent, scales, **settings).keep[IMAGE:].tolist()


def plan_of(
    method: Method, text: str, percent: float, scales: dict[int, list[float]], **settings: object
) -> PruningPlan:
    """Gives the plan of a method for gammas by layer."""
    network = Network(parse_cfg(NET + text))
    for index, gamma in scales.items():
        network.state_dict()[f"{index:03d}_convolutional.norm.weight"].copy_(torch.tensor(gamma))
    ranking = rank(network.graph, method, PruneSettings(**settings), gamma_scores(network))  # type: ignore[arg-type]
    return plan_at(ranking, percent)


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


OF_CHANNELS = [name for name in METHODS if name != "layer"]
OF_BLOCKS = [name for name, method in METHODS.items() if method.blocks]


TIED = conv(2) + conv(3) + conv(2) + "[shortcut]\nfrom=0\n" + conv(2)
TIED_SCALES = {0: [0.3, 0.9], 1: [0.5, 0.2, 0.6], 2: [0.8, 0.1], 4: [0.7, 0.95]}


def test_regular_keeps_multiples_of_eight_unless_told_otherwise() -> None:
    scales = {0: [i / 16 for i in range(16)]}
    method = METHODS["regular"]
    assert sum(plan_of(method, conv(16), 0.3, scales).keep[IMAGE:]) == 16
    assert sum(plan_of(method, conv(16), 0.6, scales).keep[IMAGE:]) == 8
    assert sum(plan_of(method, conv(16), 0.6, scales, round_to=2).keep[IMAGE:]) == 6


def test_shortcut_asks_the_first_writer_of_a_tied_lane() -> None:
    kept = plan_of(METHODS["shortcut"], TIED, 0.3, TIED_SCALES).keep[IMAGE:]
    assert kept.tolist() == [False, True, True, False, True, True, True]


def test_slim_asks_the_writer_that_needs_a_tied_lane_most() -> None:
    kept = plan_of(METHODS["slim"], TIED, 0.3, TIED_SCALES).keep[IMAGE:]
    assert kept.tolist() == [True, True, False, False, True, True, True]


def blocks(count: int, channels: int = 4) -> str:
    """A stem and that many residual blocks: nodes 1 + 3 i, 2 + 3 i and the shortcut 3 + 3 i."""
    return conv(channels) + (conv(2) + conv(channels) + "[shortcut]\nfrom=-3\nactivation=linear\n") * count


BLOCK_SCALES = {0: [1.0] * 4, **{2 + 3 * i: [mean] * 4 for i, mean in enumerate([0.5, 0.1, 0.7, 0.2])}}


@pytest.mark.parametrize(("count", "dropped"), [(None, [6]), (0, []), (1, [6]), (2, [6, 12]), (4, [3, 6, 9, 12])])
def test_layer_drops_the_blocks_whose_last_convolution_has_the_lowest_gammas(
    count: int | None, dropped: list[int]
) -> None:
    plan = plan_of(METHODS["layer"], blocks(4), 0.0, BLOCK_SCALES, blocks=count)
    assert list(plan.dropped) == [f"{index:03d}_shortcut" for index in dropped]
    assert plan.keep.sum() == plan.keep.size - 2 * len(dropped)


def test_layer_channel_scores_lanes_without_the_writers_that_go() -> None:
    scales = {0: [0.1, 0.2, 0.8, 0.9], 2: [0.3] * 4, 5: [0.2, 0.9, 0.2, 0.2], 1: [0.7, 0.7], 4: [0.6, 0.6]}
    plan = plan_of(METHODS["layer_channel"], blocks(2), 0.2, scales, blocks=1)
    assert plan.dropped == ("003_shortcut",)
    assert plan.keep[IMAGE:].tolist() == [False, True, True, True, False, False, True, True]


def test_layer_takes_no_percent() -> None:
    network = Network(parse_cfg(NET + blocks(4)))
    with pytest.raises(PlanError, match="method layer removes residual blocks and no channels: leave percent out"):
        plan_pruning(network, "layer", PruneSettings(0.5))


@pytest.mark.parametrize(
    ("method", "text", "settings", "message"),
    [
        ("layer", blocks(2), {"blocks": 3}, "2 residual blocks that can be dropped, asked for are 3"),
        ("layer", conv(2) + conv(2), {}, r"no residual block that can be dropped \(it has no \[shortcut\]\)"),
        ("layer_channel", blocks(1).replace("linear", "relu"), {}, "003_shortcut: its activation is relu, not linear"),
        ("slim", blocks(2), {"blocks": 1}, "method slim drops no residual blocks, .* use layer, layer_channel"),
        ("slim", blocks(2), {"only": "9*"}, r"only=9\*: no layer with weights is named so"),
        ("slim", blocks(2), {"blocks": -1}, "blocks to drop are 0 or more, found -1"),
    ],
)
def test_what_a_method_cannot_do_is_told(method: str, text: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        plan_of(METHODS[method], text, 0.0, {}, **settings)


def test_blocks_without_batch_norm_have_no_gammas_to_compare() -> None:
    text = conv(2) + conv(2, norm=0) + "[shortcut]\nfrom=0\nactivation=linear\n"
    with pytest.raises(PlanError, match="002_shortcut: no convolution of its branch has batch-norm"):
        plan_of(METHODS["layer"], text, 0.0, {})


def test_each_layer_can_lose_the_same_share() -> None:
    method = replace(METHODS["slim"], over="layer")
    scales = {0: [0.1, 0.2, 0.3, 0.4], 1: [9.0, 8.0, 7.0, 6.0]}
    kept = plan_of(method, conv(4) + conv(4), 0.5, scales).keep[IMAGE:]
    assert np.flatnonzero(~kept).tolist() == [0, 1, 6, 7]


def test_a_percentile_over_writers_counts_a_shared_lane_once_for_each() -> None:
    scales = {0: [0.1, 0.9], 2: [0.2, 0.8], 4: [0.3, 0.4], 1: [0.5, 0.6, 0.7]}
    over_lanes, over_writers = (
        plan_of(replace(METHODS["slim"], over=over), TIED, 0.5, scales).keep[IMAGE:].tolist()
        for over in ("lanes", "writers")
    )
    assert over_lanes == [False, True, False, True, True, False, True]  # 4 of 7 lanes, one of which the floor keeps
    assert over_writers == [False, True, True, True, True, False, True]  # below the fifth of 9 gammas, less the same


def test_only_named_layers_are_touched() -> None:
    kept = plan_of(METHODS["slim"], TIED, 1.0, TIED_SCALES, only="00[14]_*").keep[IMAGE:]
    assert kept[:2].all()
    assert not kept[2:].all()
    shared = plan_of(METHODS["slim"], TIED, 1.0, TIED_SCALES, only="000_*").keep
    assert shared.all()  # its lanes are written by 002_convolutional too


def test_random_shares_follow_the_seed_and_grow_with_the_percent() -> None:
    text = "".join(conv(32) for _ in range(6))
    scales = {i: [(j + 1) / 32 for j in range(32)] for i in range(6)}
    plans = {
        (seed, percent): plan_of(METHODS["eagleeye"], text, percent, scales, seed=seed).keep
        for seed in (0, 1)
        for percent in (0.0, 0.3, 0.5, 1.0)
    }
    assert plans[0, 0.0].all()
    assert (plans[0, 0.3] >= plans[0, 0.5]).all()
    assert (plans[0, 0.5] >= plans[0, 1.0]).all()
    assert plans[0, 1.0].sum() == IMAGE + 6
    assert (plans[0, 0.5] != plans[1, 0.5]).any()
    np.testing.assert_array_equal(plans[0, 0.5], plan_of(METHODS["eagleeye"], text, 0.5, scales, seed=0).keep)


@pytest.mark.parametrize("min_keep", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("method", OF_CHANNELS)
@pytest.mark.parametrize("name", sorted(networks()))
def test_a_floor_holds_and_no_layer_is_emptied_when_everything_may_go(
    name: str, method: str, min_keep: float, random_network: RandomNetwork
) -> None:
    network = random_network(find(name, width=0.25), 0)
    if method in OF_BLOCKS and not residual_blocks(network.graph).removable:
        with pytest.raises(PlanError, match="no residual block that can be dropped"):
            plan_pruning(network, method, PruneSettings(1.0, min_keep=min_keep))
        return

    plan = plan_pruning(network, method, PruneSettings(1.0, min_keep=min_keep))

    lanes = planned_lanes(network.graph, plan)
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
    assert plan.options == {
        "percent": 0.3,
        "score": "gamma",
        "reduction": "max",
        "over": "lanes",
        "frozen": "shortcut, upsample",
        "normalize": "none",
        "round_to": 4,
        "min_keep": 0.01,
        "only": "*",
        "seed": 0,
        "blocks": 0,
    }


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
