"""Optimiser, learning rate and moving average."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from yoloslim.engine.settings import NOMINAL_BATCH, TrainSettings


def make_optimizer(network: nn.Module, settings: TrainSettings) -> torch.optim.SGD:
    """Gives SGD with Nesterov momentum; only convolution weights decay."""
    decayed = [p for p in network.parameters() if p.ndim == 4]
    others = [p for p in network.parameters() if p.ndim != 4]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.SGD(
        groups, lr=settings.learning_rate, momentum=settings.momentum, nesterov=settings.momentum > 0
    )


def learning_rate(step: int, steps: int, settings: TrainSettings) -> float:
    """Gives the rate of one step: a linear rise, then half a cosine down to ``final_rate``.

    Args:
        step: from 0.
        steps: of the whole training.
    """
    peak = settings.learning_rate * settings.batch / NOMINAL_BATCH
    warmup = max(1, round(settings.warmup * steps))
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return peak * (settings.final_rate + (1 - settings.final_rate) * (1 + math.cos(math.pi * progress)) / 2)


class MovingAverage:
    """Exponential moving average of a network's tensors (Polyak & Juditsky, 1992).

    The decay grows from 0 to ``decay``, so that the first steps of a short training are forgotten too.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.tensors = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

    def update(self, network: nn.Module) -> None:
        """Moves the average towards the network's present tensors."""
        self.steps += 1
        decay = min(self.decay, self.steps / (10 + self.steps)) if self.decay else 0.0
        state = network.state_dict()
        with torch.no_grad():
            averages = list(self.tensors.values())
            torch._foreach_lerp_(averages, [state[name].detach() for name in self.tensors], 1 - decay)

    def copy_into(self, network: nn.Module) -> None:
        """Copies the average into a network of the same shape."""
        load_state(network, self.tensors)


def load_state(network: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Copies tensors into a network by name; names and shapes must be the network's."""
    network.load_state_dict(tensors, strict=True)
