"""The sparsity penalty: which gammas move, how far, and where they stop."""

import numpy as np
import pytest
import torch

from yoloslim.compress.sparsity.gammas import SMALL, TINY, gammas_of
from yoloslim.compress.sparsity.penalty import BIAS_PACE, GammaPenalty, auto_strength
from yoloslim.compress.sparsity.schedule import SCHEDULES
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


BLOCK = CFG.split("[convolutional]")[1]
TWO_LAYERS = CFG.replace(BLOCK, f"{BLOCK}[convolutional]{BLOCK}", 1)


def network(gammas: list[float]) -> Network:
    made = Network(parse_cfg(CFG))
    with torch.no_grad():
        made.get_parameter("000_convolutional.norm.weight").copy_(torch.tensor(gammas))
    return made


def scales(made: Network) -> list[float]:
    return made.get_parameter("000_convolutional.norm.weight").tolist()


def chosen(*channels: bool) -> dict[str, np.ndarray]:
    return {"000_convolutional": np.array(channels), "001_convolutional": np.ones(8, dtype=bool)}


def test_chosen_gammas_move_towards_zero_and_stop_there() -> None:
    made = network([0.5, -0.5, 0.05, 0.5])
    penalty = GammaPenalty(made, chosen(True, True, True, False), strength=2.0)

    penalty.step(rate=0.1)

    gammas = made.get_parameter("000_convolutional.norm.weight").tolist()
    assert gammas == pytest.approx([0.3, -0.3, 0.0, 0.5])


def test_small_gammas_are_those_far_below_their_layers_mean() -> None:
    gammas = gammas_of(network([0.0, 0.005, -1.0, 2.995]), chosen(True, True, True, False))

    assert gammas.sizes.tolist() == pytest.approx([0.0, 0.005, 1.0])
    assert gammas.relative.tolist() == pytest.approx([0.0, 0.005, 1.0])
    assert (gammas.share_below(SMALL), gammas.share_below(TINY)) == pytest.approx((2 / 3, 1 / 3))
    assert gammas.mean == pytest.approx(0.335)


def test_a_layer_of_zeros_is_all_small() -> None:
    assert gammas_of(network([0.0] * 4), chosen(True, True, True, True)).share_below(TINY) == 1.0


def test_a_decaying_penalty_frees_large_gammas_and_holds_small_ones() -> None:
    made = network([1.0, 0.008, 1.0, 1.992])
    penalty = GammaPenalty(made, chosen(True, True, False, True), strength=1.0, schedule=SCHEDULES["decay"])

    penalty.step(rate=0.002, progress=0.75)
    assert scales(made) == pytest.approx([0.999, 0.006, 1.0, 1.991])

    penalty.step(rate=0.002, progress=1.0)
    assert scales(made) == pytest.approx([0.999, 0.004, 1.0, 1.991])


@pytest.mark.parametrize(("progress", "left"), [(0.0, 1.0), (0.5, 1.0), (0.75, 0.5), (1.0, 0.0)])
def test_a_decaying_strength_is_whole_for_half_of_the_training(progress: float, left: float) -> None:
    assert SCHEDULES["decay"].left(progress) == left


def test_layers_come_to_zero_together_when_each_has_its_share_of_the_strength() -> None:
    made = Network(parse_cfg(TWO_LAYERS))
    with torch.no_grad():
        made.get_parameter("000_convolutional.norm.weight").fill_(0.2)
        made.get_parameter("001_convolutional.norm.weight").fill_(1.8)
    every = {name: np.ones(4, dtype=bool) for name in ("000_convolutional", "001_convolutional")}
    penalty = GammaPenalty(made, every, strength=0.5, schedule=SCHEDULES["per-layer"])
    assert penalty.distances().tolist() == pytest.approx([1.0] * 8)

    penalty.step(rate=1.0)

    assert made.get_parameter("000_convolutional.norm.weight").tolist() == pytest.approx([0.1] * 4)
    assert made.get_parameter("001_convolutional.norm.weight").tolist() == pytest.approx([0.9] * 4)


def test_a_layer_that_takes_no_gradient_is_left_alone_for_as_long() -> None:
    made = network([1.0] * 4)
    penalty = GammaPenalty(made, chosen(True, True, True, True), strength=1.0)
    made.requires_grad_(False)
    assert len(penalty.step(0.25).before) == 0
    made.requires_grad_(True)

    penalty.step(0.25)

    assert scales(made) == [0.75] * 4


def biases(made: Network) -> torch.nn.Parameter:
    return made.get_parameter("000_convolutional.norm.bias")


def test_a_channel_without_gamma_loses_its_beta_too() -> None:
    made = network([0.0, 0.1, 1.0, 0.0])
    with torch.no_grad():
        biases(made).fill_(-3.0)
    penalty = GammaPenalty(made, chosen(True, True, True, False), strength=1.0)

    penalty.step(rate=0.1)
    assert biases(made).tolist() == pytest.approx([-3 + 0.1 * BIAS_PACE] * 2 + [-3.0] * 2)

    for _ in range(3):
        penalty.step(rate=0.1)
    assert biases(made).tolist() == pytest.approx([0.0, 0.0, -3.0, -3.0])


def test_an_average_is_zero_where_the_network_is() -> None:
    made, average = network([0.0, 0.5, 0.0, 0.5]), network([0.1, 0.2, 0.3, 0.4])
    with torch.no_grad():
        biases(made).copy_(torch.tensor([0.0, 0.0, 1.0, 1.0]))
        biases(average).fill_(0.7)

    GammaPenalty(made, chosen(True, True, True, True), strength=1.0).finish(average)

    assert scales(average) == pytest.approx([0.0, 0.2, 0.0, 0.4])
    assert biases(average).tolist() == pytest.approx([0.0, 0.7, 0.7, 0.7])


def test_the_automatic_strength_brings_the_median_to_zero_over_a_training() -> None:
    made = network([1.0, 2.0, 3.0, 1.0])
    penalty = GammaPenalty(made, chosen(True, True, True, False), strength=0.0)
    rates = [0.1, 0.2, 0.3, 0.2, 0.1]
    penalty.strength = auto_strength(penalty.distances(), sum(rates))

    for rate in rates:
        penalty.step(rate)

    gammas = made.get_parameter("000_convolutional.norm.weight").tolist()
    assert gammas == pytest.approx([0.0, 0.0, 1.0, 1.0], abs=1e-6)


def test_networks_without_removable_gammas_are_left_alone() -> None:
    penalty = GammaPenalty(network([1.0] * 4), chosen(False, False, False, False), strength=1.0)

    penalty.step(1.0)

    assert auto_strength(penalty.distances(), 1.0) == 0.0
