"""Scores of lanes: one rule a test, each on the smallest network that shows it."""

import numpy as np
import pytest
import torch

from yoloslim.compress.pruning.reduction import first_writers, lane_scores, normalized
from yoloslim.compress.pruning.scores import DATA_FREE, gamma_scores, gammas, random_scores, writers
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.lanes import Lanes, trace_lanes
from yoloslim.nn.network import Network

NET = "[net]\nwidth=16\nheight=16\nchannels=3\n"
IMAGE = 3  # lanes of the image come first


def conv(filters: int, *more: str, norm: int = 1) -> str:
    return "\n".join(["[convolutional]", f"batch_normalize={norm}", f"filters={filters}", *more, ""])


def lanes_of(*sections: str) -> Lanes:
    return trace_lanes(parse_cfg(NET + "".join(sections)))


def test_a_gamma_scores_its_size() -> None:
    network = Network(parse_cfg(NET + conv(2)))
    network.state_dict()["000_convolutional.norm.weight"].copy_(torch.tensor([0.5, -2.0]))
    scores = lane_scores(gamma_scores(network), trace_lanes(network.graph), ("000_convolutional",))
    assert scores[IMAGE:].tolist() == [0.5, 2.0]


def test_a_shared_lane_scores_its_largest_writer() -> None:
    lanes = lanes_of(conv(3), conv(3), "[shortcut]\nfrom=0\n")
    scales = {"000_convolutional": np.array([0.9, 0, 0.1]), "001_convolutional": np.array([0.2, 0.8, 0.3])}
    assert lane_scores(scales, lanes, tuple(scales))[IMAGE:].tolist() == [0.9, 0.8, 0.3]


@pytest.mark.parametrize("section", ["[depthwise]\nbatch_normalize=1\n", conv(2, "groups=2")])
def test_the_gamma_of_a_depthwise_convolution_counts(section: str) -> None:
    network = Network(parse_cfg(NET + conv(2) + section))
    found = gammas(network)
    first, second = found
    scores = lane_scores(
        {first: np.array([0.1, 0.2]), second: np.array([0.7, 0.0])}, trace_lanes(network.graph), (first, second)
    )
    assert scores[IMAGE:].tolist() == [0.7, 0.2]


def test_a_lane_with_a_writer_without_batch_norm_scores_infinity() -> None:
    lanes = lanes_of(conv(2), conv(1, norm=0), "[shortcut]\nfrom=0\n")
    writing = ("000_convolutional", "001_convolutional")
    scores = lane_scores({"000_convolutional": np.array([0.1, 0.2])}, lanes, writing)
    assert scores[IMAGE:].tolist() == [np.inf, 0.2]


def test_a_layer_with_the_weights_of_another_writes_nothing_of_its_own() -> None:
    network = Network(parse_cfg(NET + conv(4) + conv(5) + conv(4) + conv(5, "share_index=1")))

    assert writers(network.graph) == ("000_convolutional", "001_convolutional", "002_convolutional")
    assert list(gammas(network)) == ["000_convolutional", "001_convolutional", "002_convolutional"]


def test_a_lane_that_nothing_writes_scores_zero() -> None:
    assert lane_scores({}, lanes_of(conv(2)), ())[:IMAGE].tolist() == [0, 0, 0]


def test_scores_of_a_layer_can_be_shares_of_its_mean() -> None:
    lanes = lanes_of(conv(2), conv(2))
    scales = {"000_convolutional": np.array([1.0, 3.0]), "001_convolutional": np.array([0.1, 0.3])}
    scores = lane_scores(normalized(scales, "layer"), lanes, tuple(scales))
    np.testing.assert_allclose(scores[IMAGE:], [0.5, 1.5, 0.5, 1.5], rtol=1e-15)


def test_a_layer_of_zeros_scores_zero_however_scores_are_normalised() -> None:
    scales = {"000_convolutional": np.zeros(2)}
    scores = lane_scores(normalized(scales, "layer"), lanes_of(conv(2)), tuple(scales))
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


@pytest.mark.parametrize(
    ("reduction", "expected"),
    [("max", [3, 6, 9]), ("min", [1, 2, 0]), ("mean", [2, 4, 4.5]), ("first", [3, 2, 0])],
)
def test_the_writers_of_a_lane_are_reduced_as_named(reduction: str, expected: list[float]) -> None:
    lanes = lanes_of(conv(3), conv(3), "[shortcut]\nfrom=0\n")
    scales = {"000_convolutional": np.array([3.0, 2, 0]), "001_convolutional": np.array([1.0, 6, 9])}
    assert lane_scores(scales, lanes, tuple(scales), reduction)[IMAGE:].tolist() == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("reduction", ["max", "min", "mean", "first"])
def test_no_reduction_lets_go_of_what_is_not_scored(reduction: str) -> None:
    lanes = lanes_of(conv(2), conv(1, norm=0), "[shortcut]\nfrom=0\n", conv(2))
    scales = {"000_convolutional": np.array([0.0, 0.2]), "003_convolutional": np.array([0.5, 0.6])}
    scores = lane_scores(scales, lanes, ("000_convolutional", "001_convolutional", "003_convolutional"), reduction)  # type: ignore[arg-type]
    assert scores.tolist() == [0, 0, 0, np.inf, 0.2, 0.5, 0.6]


def test_the_first_writer_of_each_lane_is_found() -> None:
    lanes = lanes_of(conv(3), conv(2), "[shortcut]\nfrom=0\n", conv(1))
    writing = ("000_convolutional", "001_convolutional", "003_convolutional")
    assert first_writers(lanes, writing).tolist() == [-1, -1, -1, 0, 0, 0, 2]


FILTERS = torch.tensor([[3.0, -4.0], [1.0, 1.0], [0.0, 0.0]])


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        ("l1", [7, 2, 0]),
        ("l2", [5, 2**0.5, 0]),
        ("fpgm", [29**0.5 + 5, 29**0.5 + 2**0.5, 5 + 2**0.5]),
    ],
)
def test_a_filter_scores_as_its_paper_says(score: str, expected: list[float]) -> None:
    network = Network(parse_cfg(NET.replace("channels=3", "channels=2") + conv(3)))
    network.state_dict()["000_convolutional.conv.weight"].copy_(FILTERS.view(3, 2, 1, 1))
    found = DATA_FREE[score](network)["000_convolutional"]  # type: ignore[index]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_every_writer_has_filters_with_or_without_batch_norm() -> None:
    network = Network(parse_cfg(NET + conv(4) + "[depthwise]\nsize=3\n" + conv(2, norm=0) + conv(6, "groups=2")))
    for score in ("l1", "l2", "fpgm"):
        found = DATA_FREE[score](network)  # type: ignore[index]
        assert {name: len(values) for name, values in found.items()} == {
            "000_convolutional": 4,
            "001_depthwise": 4,
            "002_convolutional": 2,
            "003_convolutional": 6,
        }
        assert all((values >= 0).all() for values in found.values())


def test_random_scores_follow_the_seed_and_differ_between_layers() -> None:
    network = Network(parse_cfg(NET + conv(4) + conv(4)))
    first, again, other = (random_scores(network, seed) for seed in (0, 0, 1))
    assert {name: values.tolist() for name, values in first.items()} == {n: v.tolist() for n, v in again.items()}
    every = [values.tolist() for scores in (first, other) for values in scores.values()]
    assert len({tuple(values) for values in every}) == 4
