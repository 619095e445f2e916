"""Learning rate, weight decay and the moving average."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from yoloslim.engine.optimizer import MovingAverage, learning_rate, make_optimizer
from yoloslim.engine.settings import Optimizer, TrainSettings


def test_the_rate_rises_linearly_then_falls_as_half_a_cosine() -> None:
    settings = TrainSettings(epochs=1, batch=64, learning_rate=0.1, final_rate=0.1, warmup=0.1)
    rates = [learning_rate(step, 100, settings) for step in range(100)]

    assert rates[:10] == pytest.approx([0.01 * (step + 1) for step in range(10)])
    assert rates[10] == pytest.approx(0.1)
    assert rates[55] == pytest.approx(0.1 * (0.1 + 0.9 * (1 + math.cos(math.pi / 2)) / 2))
    assert rates[99] == pytest.approx(0.01, rel=0.1)


def test_the_rate_is_proportional_to_the_batch() -> None:
    small, large = (TrainSettings(epochs=1, batch=batch) for batch in (8, 32))

    assert learning_rate(50, 100, large) == pytest.approx(4 * learning_rate(50, 100, small))


@pytest.mark.parametrize(("optimizer", "rate"), [("sgd", 0.08), ("adam", 0.004), ("adamw", 0.004)])
def test_the_rate_is_the_optimisers_where_none_is_asked_for(optimizer: Optimizer, rate: float) -> None:
    settings = TrainSettings(epochs=1, batch=64, optimizer=optimizer, warmup=0.0)

    assert learning_rate(0, 100, settings) == pytest.approx(rate)
    assert learning_rate(0, 100, replace(settings, learning_rate=0.0)) == 0.0


def test_only_convolution_weights_decay() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))

    decayed, others = make_optimizer(network, TrainSettings(epochs=1)).param_groups

    assert [p.shape for p in decayed["params"]] == [torch.Size([4, 3, 1, 1])]
    assert decayed["weight_decay"] == 5e-4
    assert len(others["params"]) == 3
    assert others["weight_decay"] == 0.0


def test_the_average_forgets_where_a_short_training_began() -> None:
    network = nn.Linear(1, 1, bias=False)
    average = MovingAverage(network, decay=0.9)
    nn.init.constant_(network.weight, 1.0)
    for _ in range(100):
        average.update(network)

    assert average.tensors["weight"].item() == pytest.approx(1.0, abs=1e-3)


def test_the_average_of_a_changing_weight_lies_between_its_values() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 0.0)
    average = MovingAverage(network, decay=0.99)
    nn.init.constant_(network.weight, 1.0)
    average.update(network)

    assert average.tensors["weight"].item() == pytest.approx(10 / 11)  # decay min(.99, 1 / 11)


def test_without_decay_the_average_is_the_network() -> None:
    network = nn.Linear(2, 2)
    average = MovingAverage(network, decay=0.0)
    nn.init.normal_(network.weight)
    average.update(network)

    torch.testing.assert_close(average.tensors["weight"], network.weight.detach())
