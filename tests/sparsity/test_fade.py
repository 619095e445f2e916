"""Fading: chosen channels come to zero in equal steps, the others are left alone, and pruning then changes nothing."""

import numpy as np
import pytest
import torch

from yoloslim.compress.sparsity.fade import FADED, Fade
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
CHOSEN = {"000_convolutional": np.array([True, False, True, False]), "001_convolutional": np.ones(8, dtype=bool)}
NORM = "000_convolutional.norm"


def network() -> Network:
    made = Network(parse_cfg(CFG))
    with torch.no_grad():
        made.get_parameter(f"{NORM}.weight").copy_(torch.tensor([1.0, 2.0, -4.0, 3.0]))
        made.get_parameter(f"{NORM}.bias").copy_(torch.tensor([0.5, 0.5, 0.5, 0.5]))
    return made


def scales(made: Network) -> list[float]:
    return made.get_parameter(f"{NORM}.weight").tolist()


def test_chosen_channels_shrink_in_equal_steps_and_stay_at_zero() -> None:
    made = network()
    fade = Fade(made, CHOSEN, steps=10)
    seen = []

    for done in range(1, 11):
        fade.step(done)
        seen.append(scales(made)[2])

    last = round(FADED * 10)
    assert seen == pytest.approx([-4.0 * max(0, last - done) / last for done in range(1, 11)], abs=1e-6)
    assert scales(made) == [0.0, 2.0, 0.0, 3.0]
    assert made.get_parameter(f"{NORM}.bias").tolist() == [0.0, 0.5, 0.0, 0.5]


def test_what_the_optimiser_gives_back_after_the_end_is_taken_again() -> None:
    made = network()
    fade = Fade(made, CHOSEN, steps=10)
    for done in range(1, 9):
        fade.step(done)
    with torch.no_grad():
        made.get_parameter(f"{NORM}.weight").fill_(0.3)

    fade.step(9)

    assert scales(made) == pytest.approx([0.0, 0.3, 0.0, 0.3])


def test_a_training_that_goes_on_fades_as_one_that_never_stopped() -> None:
    whole, first = network(), network()
    fade = Fade(whole, CHOSEN, steps=20)
    for done in range(1, 6):
        fade.step(done)

    before = Fade(first, CHOSEN, steps=20)
    for done in range(1, 4):
        before.step(done)
    after = Fade(first, CHOSEN, steps=20)
    for done in range(4, 6):
        after.step(done)

    assert scales(first) == scales(whole)


def test_an_average_is_set_to_zero_only_once_the_channels_are() -> None:
    fade, average = Fade(network(), CHOSEN, steps=10), network()
    last = round(FADED * 10)

    fade.finish(average, last - 1)
    assert scales(average) == [1.0, 2.0, -4.0, 3.0]

    fade.finish(average, last)
    assert scales(average) == [0.0, 2.0, 0.0, 3.0]
