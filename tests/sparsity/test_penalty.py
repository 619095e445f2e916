"""The sparsity penalty: which gammas move, how far, and where they stop."""

import numpy as np
import pytest
import torch

from yoloslim.compress.sparsity.penalty import GammaPenalty, auto_strength
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.nn.network import Network

CFG = """[net]
width=32
height=32
[convolutional]
batch_normalize=1
filters=4
size=3
stride=2
pad=1
activation=leaky
[convolutional]
filters=8
size=1
activation=linear
[yolo]
mask=0
anchors=10,10
classes=3
"""


def network(gammas: list[float]) -> Network:
    made = Network(parse_cfg(CFG))
    with torch.no_grad():
        made.get_parameter("000_convolutional.norm.weight").copy_(torch.tensor(gammas))
    return made


def chosen(*channels: bool) -> dict[str, np.ndarray]:
    return {"000_convolutional": np.array(channels), "001_convolutional": np.ones(8, dtype=bool)}


def test_chosen_gammas_move_towards_zero_and_stop_there() -> None:
    made = network([0.5, -0.5, 0.05, 0.5])
    penalty = GammaPenalty(made, chosen(True, True, True, False), strength=2.0)

    penalty.step(rate=0.1)

    gammas = made.get_parameter("000_convolutional.norm.weight").tolist()
    assert gammas == pytest.approx([0.3, -0.3, 0.0, 0.5])


def test_the_share_of_small_gammas_counts_the_chosen_ones() -> None:
    penalty = GammaPenalty(network([0.0, 0.5, -0.009, 0.0]), chosen(True, True, True, False), strength=1.0)

    assert penalty.small_share() == pytest.approx(2 / 3)
    assert penalty.gammas().tolist() == pytest.approx([0.0, 0.5, 0.009])


def test_the_automatic_strength_brings_the_median_to_zero_over_a_training() -> None:
    made = network([1.0, 2.0, 3.0, 1.0])
    penalty = GammaPenalty(made, chosen(True, True, True, False), strength=0.0)
    rates = [0.1, 0.2, 0.3, 0.2, 0.1]
    penalty.strength = auto_strength(penalty.gammas(), sum(rates))

    for rate in rates:
        penalty.step(rate)

    gammas = made.get_parameter("000_convolutional.norm.weight").tolist()
    assert gammas == pytest.approx([0.0, 0.0, 1.0, 1.0], abs=1e-6)


def test_networks_without_removable_gammas_are_left_alone() -> None:
    penalty = GammaPenalty(network([1.0] * 4), chosen(False, False, False, False), strength=1.0)

    penalty.step(1.0)

    assert penalty.small_share() == 0.0
    assert auto_strength(penalty.gammas(), 1.0) == 0.0
