"""Scores of lanes: one rule a test, each on the smallest network that shows it."""

import numpy as np
import pytest
import torch

from yoloslim.compress.pruning.scores import batch_norm_scores, gammas, writers
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.lanes import Lanes, trace_lanes
from yoloslim.nn.network import Network

NET = "[net]\nwidth=16\nheight=16\nchannels=3\n"
IMAGE = 3  # lanes of the image come first


def conv(filters: int, *more: str, norm: int = 1) -> str:
    return "\n".join(["[convolutional]", f"batch_normalize={norm}", f"filters={filters}", *more, ""])


def lanes_of(*sections: str) -> Lanes:
    return trace_lanes(parse_cfg(NET + "".join(sections)))


def test_a_lane_scores_the_size_of_its_gamma() -> None:
    scales = {"000_convolutional": np.array([0.5, -2.0])}
    scores = batch_norm_scores(scales, lanes_of(conv(2)), ("000_convolutional",))
    assert scores[IMAGE:].tolist() == [0.5, 2.0]


def test_a_shared_lane_scores_its_largest_writer() -> None:
    lanes = lanes_of(conv(3), conv(3), "[shortcut]\nfrom=0\n")
    scales = {"000_convolutional": np.array([0.9, 0, 0.1]), "001_convolutional": np.array([0.2, -0.8, 0.3])}
    assert batch_norm_scores(scales, lanes, tuple(scales))[IMAGE:].tolist() == [0.9, 0.8, 0.3]


@pytest.mark.parametrize("section", ["[depthwise]\nbatch_normalize=1\n", conv(2, "groups=2")])
def test_the_gamma_of_a_depthwise_convolution_counts(section: str) -> None:
    network = Network(parse_cfg(NET + conv(2) + section))
    found = gammas(network)
    first, second = found
    scores = batch_norm_scores(
        {first: np.array([0.1, 0.2]), second: np.array([0.7, 0.0])}, trace_lanes(network.graph), (first, second)
    )
    assert scores[IMAGE:].tolist() == [0.7, 0.2]


def test_a_lane_with_a_writer_without_batch_norm_scores_infinity() -> None:
    lanes = lanes_of(conv(2), conv(1, norm=0), "[shortcut]\nfrom=0\n")
    writing = ("000_convolutional", "001_convolutional")
    scores = batch_norm_scores({"000_convolutional": np.array([0.1, 0.2])}, lanes, writing)
    assert scores[IMAGE:].tolist() == [np.inf, 0.2]


def test_a_layer_with_the_weights_of_another_writes_nothing_of_its_own() -> None:
    network = Network(parse_cfg(NET + conv(4) + conv(5) + conv(4) + conv(5, "share_index=1")))

    assert writers(network.graph) == ("000_convolutional", "001_convolutional", "002_convolutional")
    assert list(gammas(network)) == ["000_convolutional", "001_convolutional", "002_convolutional"]


def test_a_lane_that_nothing_writes_scores_zero() -> None:
    assert batch_norm_scores({}, lanes_of(conv(2)), ())[:IMAGE].tolist() == [0, 0, 0]


def test_scores_of_a_layer_can_be_shares_of_its_mean() -> None:
    lanes = lanes_of(conv(2), conv(2))
    scales = {"000_convolutional": np.array([1.0, 3.0]), "001_convolutional": np.array([0.1, -0.3])}
    scores = batch_norm_scores(scales, lanes, tuple(scales), "layer")
    np.testing.assert_allclose(scores[IMAGE:], [0.5, 1.5, 0.5, 1.5], rtol=1e-15)


def test_a_layer_of_zeros_scores_zero_however_scores_are_normalised() -> None:
    scales = {"000_convolutional": np.zeros(2)}
    scores = batch_norm_scores(scales, lanes_of(conv(2)), tuple(scales), "layer")
    assert scores[IMAGE:].tolist() == [0, 0]


def test_writers_are_convolutions_of_every_kind_and_nothing_else() -> None:
    others = "[route]\nlayers=0\n[se]\n[maxpool]\nsize=2\n[upsample]\n[avgpool]\n[dropout]\n"
    graph = parse_cfg(NET + conv(4) + "[depthwise]\n" + conv(4, norm=0) + "[shortcut]\nfrom=0\n" + others)
    assert writers(graph) == ("000_convolutional", "001_depthwise", "002_convolutional")


def test_gammas_are_read_from_every_batch_norm() -> None:
    network = Network(parse_cfg(NET + conv(2) + conv(3, norm=0) + "[depthwise]\nbatch_normalize=1\n"))
    network.state_dict()["000_convolutional.norm.weight"].copy_(torch.tensor([0.25, -4.0]))

    found = gammas(network)

    assert {name: values.tolist() for name, values in found.items()} == {
        "000_convolutional": [0.25, -4.0],
        "002_depthwise": [1.0, 1.0, 1.0],
    }
    assert {values.dtype for values in found.values()} == {np.dtype(np.float64)}
