"""The proof that gammas move: in the first steps, under every optimiser, and why not where they do not."""

import logging
from typing import Any

import numpy as np
import pytest
import torch

from yoloslim.compress.sparsity.movement import FIRST_STEPS, FirstSteps
from yoloslim.compress.sparsity.penalty import GammaPenalty, Moved
from yoloslim.engine.optimizer import make_optimizer
from yoloslim.engine.settings import TrainSettings
from yoloslim.errors import RecipeError
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.nn.network import Network

CFG = (
    "[net]\nwidth=16\nheight=16\n[convolutional]\nbatch_normalize=1\nfilters=4\nsize=3\nstride=2\npad=1\n"
    "activation=leaky\n[convolutional]\nfilters=8\nsize=1\nactivation=linear\n"
    "[yolo]\nmask=0\nanchors=10,10\nclasses=3\n"
)
NORM = "000_convolutional.norm.weight"


def trained(settings: TrainSettings, strength: float) -> tuple[Network, FirstSteps]:
    """A network after the first steps of a real optimiser, with a loss that does not care for its gammas."""
    torch.manual_seed(0)
    network = Network(parse_cfg(CFG))
    optimizer = make_optimizer(network, settings)
    penalty = GammaPenalty(network, {"000_convolutional": np.ones(4, dtype=bool)}, strength)
    first = FirstSteps(settings.learning_rate, FIRST_STEPS)
    for _ in range(FIRST_STEPS):
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.precision == "bf16-mixed"):
            (head_map,) = network(torch.rand(2, 3, 16, 16))
        (1e-6 * head_map.float().square().mean()).backward()
        optimizer.step()
        optimizer.zero_grad()
        first.look(penalty.step(settings.learning_rate), settings.learning_rate, strength)
    return network, first


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_gammas_fall_by_what_the_penalty_takes(optimizer: Any, weight_decay: float, precision: Any) -> None:
    settings = TrainSettings(
        1, optimizer=optimizer, learning_rate=1e-3, weight_decay=weight_decay, precision=precision, momentum=0.0
    )
    gammas = trained(settings, strength=5.0)[0].get_parameter(NORM)
    unpunished = trained(settings, strength=1e-4)[0].get_parameter(NORM)

    fallen = (unpunished - gammas).tolist()
    assert fallen == pytest.approx([FIRST_STEPS * 1e-3 * 5.0] * 4, rel=0.1)


@pytest.mark.parametrize(
    ("rate", "strength", "message"),
    [
        (0.0, 0.0, r"no gamma moves: the learning rate is 0; set train\.learning_rate"),
        (0.01, 0.0, "no gamma moves: the strength is 0"),
        (0.01, 1e-9, "strength 1e-09 times the rate 0.01 is less than float32 can take from a gamma of 1;"),
    ],
)
def test_a_penalty_that_moves_nothing_is_told_with_its_cause(rate: float, strength: float, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        trained(TrainSettings(1, learning_rate=rate), strength)


def test_a_training_that_gives_back_what_the_penalty_takes_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    first = FirstSteps(0.1, steps=100)
    with caplog.at_level(logging.WARNING):
        for _ in range(FIRST_STEPS):
            first.look(Moved(torch.ones(4), torch.full((4,), 0.5)), rate=0.1, strength=5.0)

    assert [record.getMessage() for record in caplog.records] == [
        "in 10 steps the penalty took 18 from the sum of gammas, and the sum fell by 0: training gives it back; "
        "watch small_gammas, or raise the strength"
    ]


def test_the_warm_up_is_not_judged() -> None:
    first, still = FirstSteps(0.1, steps=100), Moved(torch.ones(4), torch.ones(4))
    for _ in range(FIRST_STEPS):
        first.look(still, rate=0.04, strength=1e-9)

    for _ in range(FIRST_STEPS - 1):
        first.look(still, rate=0.06, strength=1e-9)
    with pytest.raises(RecipeError, match="no gamma moves"):
        first.look(still, rate=0.06, strength=1e-9)
