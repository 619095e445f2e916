"""Folding: what silent channels add moves into the layers that read them, exactly inside the picture."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from yoloslim.compress.pruning.fold import fold, folded
from yoloslim.compress.pruning.plan import PruningPlan
from yoloslim.compress.pruning.scores import gammas
from yoloslim.compress.pruning.shrink import shrink
from yoloslim.compress.pruning.verify import fold_gap
from yoloslim.errors import PlanError
from yoloslim.graph.blocks import lanes_without, named_blocks
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.lanes import trace_lanes
from yoloslim.nn.network import Network

RandomNetwork = Callable[[Graph, int], Network]

NET = "[net]\nwidth=12\nheight=12\nchannels=3\n"
HEAD = "[convolutional]\nfilters=6\nactivation=linear\n[yolo]\nmask=0\nclasses=1\nanchors=4,4\n"
WITH_CONSTANT = ("leaky", "logistic", "mish", "plse", "relu", "tanh")  # logistic and plse are .5 at 0


def conv(filters: int, *more: str, norm: int = 1, activation: str = "leaky") -> str:
    options = [f"batch_normalize={norm}", f"filters={filters}", f"activation={activation}", *more]
    return "\n".join(["[convolutional]", *options, ""])


def silenced(network: Network, removed: dict[str, list[int]]) -> PruningPlan:
    """Removes channels, given by one of their writers, and zeroes every gamma that writes them."""
    lanes = trace_lanes(network.graph)
    keep = np.ones(lanes.count, dtype=bool)
    for name, channels in removed.items():
        keep[lanes.of[name][channels]] = False
    for name in gammas(network):
        network.state_dict()[f"{name}.norm.weight"][torch.from_numpy(~keep[lanes.of[name]])] = 0
    return PruningPlan(keep)


def heads(network: Network) -> list[Tensor]:
    picture = torch.rand(2, 3, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        return network.eval()(picture)


def assert_folds_exactly(network: Network, removed: dict[str, list[int]]) -> None:
    """Folded and shrunk equals the whole network; shrunk alone does not."""
    plan = silenced(network, removed)
    (whole,), (moved,), (cut,) = heads(network), heads(shrink(fold(network, plan), plan)), heads(shrink(network, plan))

    torch.testing.assert_close(moved, whole, rtol=1e-12, atol=1e-12)
    assert (cut - whole).abs().max() > 1e-3


@pytest.mark.parametrize("activation", WITH_CONSTANT)
@pytest.mark.parametrize("norm", [0, 1], ids=["into a bias", "into a batch-norm"])
def test_silent_channels_are_folded_exactly(norm: int, activation: str, random_network: RandomNetwork) -> None:
    first, reader = conv(5, "size=3", activation=activation), conv(4, "size=3", norm=norm, activation="mish")
    assert_folds_exactly(random_network(parse_cfg(NET + first + reader + HEAD), 0), {"000_convolutional": [1, 4]})


@pytest.mark.parametrize(
    ("between", "why"),
    [
        ("[route]\nlayers=-1\n", "passed on"),
        ("[route]\nlayers=-1,-1\n", "twice"),
        ("[maxpool]\nsize=3\nstride=1\n", "cells outside never win"),
        ("[maxpool]\nsize=2\nstride=2\n", "halved"),
        ("[upsample]\nstride=2\nscale=0.5\n", "scaled"),
        ("[dropout]\nprobability=0.5\n", "passed on"),
        (conv(3) + "[route]\nlayers=-1,-2\n", "behind other channels"),
        ("[shortcut]\nfrom=-1\nactivation=mish\n", "doubled"),
        ("[avgpool]\n", "mean of a constant"),
    ],
)
def test_a_constant_is_followed_to_the_layer_that_reads_it(
    between: str, why: str, random_network: RandomNetwork
) -> None:
    text = NET + conv(5, "size=3", activation="logistic") + between + conv(4, activation="mish") + HEAD
    assert_folds_exactly(random_network(parse_cfg(text), 0), {"000_convolutional": [0, 3]})


def test_a_part_of_a_split_layer_is_folded(random_network: RandomNetwork) -> None:
    text = NET + conv(6) + "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n" + conv(4) + HEAD
    assert_folds_exactly(random_network(parse_cfg(text), 0), {"000_convolutional": [1, 5]})


def test_both_sides_of_a_shortcut_are_folded_as_their_sum(random_network: RandomNetwork) -> None:
    text = NET + conv(5, activation="logistic") + conv(5, activation="mish") + "[shortcut]\nfrom=0\nactivation=leaky\n"
    assert_folds_exactly(random_network(parse_cfg(text + conv(4) + HEAD), 0), {"000_convolutional": [0, 2]})


@pytest.mark.parametrize(("first", "second"), [(5, 3), (3, 5)])
def test_a_shortcut_of_unequal_channels_is_folded(first: int, second: int, random_network: RandomNetwork) -> None:
    text = NET + conv(first) + conv(second) + "[shortcut]\nfrom=0\n" + conv(4) + HEAD
    assert_folds_exactly(random_network(parse_cfg(text), 0), {f"00{int(second > first)}_convolutional": [1, 4]})


@pytest.mark.parametrize(
    "chain",
    [
        conv(5, "size=3", "groups=5", activation="logistic"),
        "[depthwise]\nsize=3\nbatch_normalize=1\nactivation=logistic\n",
        conv(10, "size=3", "groups=5", activation="logistic"),
    ],
    ids=["groups", "section", "multiplier"],
)
def test_a_chain_of_depthwise_convolutions_is_folded(chain: str, random_network: RandomNetwork) -> None:
    text = NET + conv(5, "size=3") + chain + conv(4) + HEAD
    assert_folds_exactly(random_network(parse_cfg(text), 0), {"000_convolutional": [1, 2]})


def test_a_grouped_reader_takes_the_constants_of_its_own_group(random_network: RandomNetwork) -> None:
    text = NET + conv(6) + conv(4, "groups=2", "size=3") + HEAD
    assert_folds_exactly(random_network(parse_cfg(text), 0), {"000_convolutional": [2, 3]})


def test_silent_scales_of_silent_channels_are_folded(random_network: RandomNetwork) -> None:
    scales = "[avgpool]\n" + conv(5, activation="logistic")
    text = NET + conv(5) + scales + "[scale_channels]\nfrom=0\nactivation=leaky\n" + HEAD
    network = random_network(parse_cfg(text), 0)
    assert_folds_exactly(network, {"000_convolutional": [1, 4]})


def test_every_layer_of_a_chain_is_folded(random_network: RandomNetwork) -> None:
    layers = "".join(conv(5, "size=2", activation=name) for name in WITH_CONSTANT)
    removed = {f"{i:03d}_convolutional": [i % 5, (i + 2) % 5] for i in range(len(WITH_CONSTANT))}
    assert_folds_exactly(random_network(parse_cfg(NET + layers + HEAD), 0), removed)


def test_at_zero_padded_borders_folding_is_only_near(random_network: RandomNetwork) -> None:
    network = random_network(parse_cfg(NET + conv(5) + conv(4, "size=3", "pad=1") + HEAD), 0)
    plan = silenced(network, {"000_convolutional": [1, 4]})

    difference = (heads(shrink(fold(network, plan), plan))[0] - heads(network)[0]).abs().amax((0, 1, 4))

    assert difference[1:-1, 1:-1].max() < 1e-12
    border = torch.ones(12, 12, dtype=torch.bool)
    border[1:-1, 1:-1] = False
    assert difference[border].min() > 1e-6


def test_what_kept_channels_add_is_not_folded(random_network: RandomNetwork) -> None:
    network = random_network(parse_cfg(NET + conv(5) + conv(4) + HEAD), 0)
    moved = fold(network, PruningPlan(np.ones(trace_lanes(network.graph).count, dtype=bool)))
    assert torch.equal(heads(moved)[0], heads(network)[0])


def test_folding_is_nearer_than_cutting_where_gammas_are_small(random_network: RandomNetwork) -> None:
    network = random_network(parse_cfg(NET + conv(5, activation="logistic") + conv(4) + HEAD), 0)
    plan = silenced(network, {"000_convolutional": [1, 4]})
    network.state_dict()["000_convolutional.norm.weight"][[1, 4]] = 0.05

    (whole,), (moved,), (cut,) = heads(network), heads(shrink(fold(network, plan), plan)), heads(shrink(network, plan))

    assert (moved - whole).abs().mean() < 0.1 * (cut - whole).abs().mean()


def test_folding_changes_nothing_but_means_and_biases_and_nothing_in_its_input(random_network: RandomNetwork) -> None:
    network = random_network(parse_cfg(NET + conv(5) + conv(4) + HEAD), 0)
    plan = silenced(network, {"000_convolutional": [1, 4]})
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    after = fold(network, plan).state_dict()

    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert changed == ["001_convolutional.norm.running_mean"]


def test_a_plan_for_another_network_is_not_folded(random_network: RandomNetwork) -> None:
    network = random_network(parse_cfg(NET + conv(5) + HEAD), 0)
    with pytest.raises(PlanError, match="the plan has 2 lanes, the network 14"):
        fold(network, PruningPlan(np.ones(2, dtype=bool)))


@pytest.mark.parametrize("weights", ["per_feature", "per_channel"])
@pytest.mark.parametrize("normalization", ["none", "relu", "softmax"])
def test_a_weighted_shortcut_is_folded_as_its_weighted_sum(
    weights: str, normalization: str, random_network: RandomNetwork
) -> None:
    options = f"weights_type={weights}\nweights_normalization={normalization}\n"
    network = random_network(parse_cfg(NET + conv(4) + conv(4) + f"[shortcut]\nfrom=0\n{options}" + HEAD), 0)
    network.state_dict()["002_shortcut.weights"].abs_()
    assert_folds_exactly(network, {"000_convolutional": [0, 2]})


def test_a_product_of_silent_channels_is_folded(random_network: RandomNetwork) -> None:
    activations = {"activation": "logistic"}
    network = random_network(
        parse_cfg(NET + conv(4, **activations) + conv(4, **activations) + "[sam]\nfrom=0\nactivation=leaky\n" + HEAD), 0
    )
    assert_folds_exactly(network, {"000_convolutional": [1, 3]})


@pytest.mark.parametrize("layer", ["[local_avgpool]\nsize=3\nstride=1\n", "[empty]\n", "[maxpool]\nantialiasing=2\n"])
def test_a_constant_passes_a_layer_that_only_passes(layer: str, random_network: RandomNetwork) -> None:
    network = random_network(parse_cfg(NET + conv(4) + layer + HEAD), 0)
    assert_folds_exactly(network, {"000_convolutional": [1, 3]})


def test_a_constant_is_cropped_as_every_value(random_network: RandomNetwork) -> None:
    network = random_network(parse_cfg(NET + conv(4) + "[crop]\ncrop_height=6\ncrop_width=6\n" + HEAD), 0)
    assert_folds_exactly(network, {"000_convolutional": [1, 3]})


def test_nothing_is_folded_into_weights_that_layers_share(random_network: RandomNetwork) -> None:
    """The two read channels with other constants: one bias cannot hold both."""
    shared = conv(5) + conv(4) + conv(5, "share_index=1")
    network = random_network(parse_cfg(NET + conv(4) + shared + HEAD), 0)
    plan = silenced(network, {"000_convolutional": [1]})

    folded = fold(network, plan).state_dict()

    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, folded[name])}
    assert changed == set()


def test_what_a_layer_gives_with_the_weights_of_another_is_folded(random_network: RandomNetwork) -> None:
    sharer = conv(5, "share_index=1", activation="logistic")
    network = random_network(parse_cfg(NET + conv(4) + conv(5) + conv(4) + sharer + HEAD), 0)
    assert_folds_exactly(network, {"001_convolutional": [1]})


def blocks(activation: str) -> str:
    branch = conv(3, activation="mish") + conv(5, "size=3", activation=activation)
    return conv(5, activation="tanh") + branch + "[shortcut]\nfrom=0\nactivation=linear\n"


def assert_dropping_folds_exactly(network: Network, dropped: tuple[str, ...], removed: dict[str, list[int]]) -> None:
    """With the gammas of a dropped branch's last convolution at zero, folded and shrunk equals the whole network."""
    lanes = trace_lanes(network.graph)
    keep = silenced(network, removed).keep
    for block in named_blocks(network.graph, dropped).values():
        network.state_dict()[f"{block.branch[-1]}.norm.weight"].zero_()
    present = np.zeros(lanes.count, dtype=bool)
    for lane in lanes_without(network.graph, dropped).of.values():
        present[lane] = True
    plan = PruningPlan(keep & present, dropped=dropped)

    (whole,), (moved,), (cut,) = heads(network), heads(shrink(fold(network, plan), plan)), heads(shrink(network, plan))

    torch.testing.assert_close(moved, whole, rtol=1e-12, atol=1e-12)
    assert (cut - whole).abs().max() > 1e-3


@pytest.mark.parametrize("activation", ["linear", "leaky", "mish"])
@pytest.mark.parametrize(
    "between",
    [
        "",
        "[maxpool]\nsize=3\nstride=1\n",
        "[upsample]\nstride=2\nscale=0.5\n",
        "[route]\nlayers=-1,0\n",
        "[route]\nlayers=-1\n[dropout]\nprobability=0.5\n",
        "[reorg3d]\nstride=2\n",
    ],
)
def test_what_a_dropped_branch_added_is_followed_to_the_layers_that_read_it(
    between: str, activation: str, random_network: RandomNetwork
) -> None:
    text = NET + blocks(activation).replace("size=3", "size=1") + between + conv(4, activation="mish") + HEAD
    assert_dropping_folds_exactly(random_network(parse_cfg(text), 0), ("003_shortcut",), {})


def test_dropped_branches_add_up_through_later_shortcuts(random_network: RandomNetwork) -> None:
    second = conv(5, activation="mish") + "[shortcut]\nfrom=-2\nactivation=linear\n"
    text = NET + blocks("leaky").replace("size=3", "size=1") + second + conv(4) + HEAD
    network = random_network(parse_cfg(text), 0)
    assert_dropping_folds_exactly(network, ("003_shortcut", "005_shortcut"), {})
    network = random_network(parse_cfg(text), 1)
    assert_dropping_folds_exactly(network, ("003_shortcut",), {"000_convolutional": [1, 3]})


def test_the_gap_of_folding_is_what_borders_make_of_constants(random_network: RandomNetwork) -> None:
    padded, bare = (
        random_network(parse_cfg(NET + conv(5) + conv(4, "size=3", *pad) + HEAD), 0) for pad in (("pad=1",), ())
    )
    for network, is_exact in ((padded, False), (bare, True)):
        plan = silenced(network, {"000_convolutional": [1, 4]})
        gap = fold_gap(network, folded(network, plan), plan)
        assert (gap.largest < 1e-12) == is_exact
        assert gap.mean <= gap.largest


def test_the_gap_of_folding_does_not_depend_on_the_gammas_that_go(random_network: RandomNetwork) -> None:
    network = random_network(parse_cfg(NET + conv(5) + conv(4, "size=3", "pad=1") + HEAD), 0)
    plan = PruningPlan(silenced(network, {"000_convolutional": [1, 4]}).keep)
    first = fold_gap(network, folded(network, plan), plan)
    network.state_dict()["000_convolutional.norm.weight"][[1, 4]] = 0.7
    assert fold_gap(network, folded(network, plan), plan) == first
