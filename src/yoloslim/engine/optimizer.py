"""Optimiser, learning rate and moving average."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from yoloslim.engine.settings import NOMINAL_BATCH, TrainSettings

_STEP_FACTOR = 0.1
_ADAM_BETA2 = 0.999


def make_optimizer(network: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """Gives the optimiser; only convolution weights decay. What takes no gradient does not move."""
    decayed = [parameter for parameter in network.parameters() if parameter.ndim == 4]
    others = [parameter for parameter in network.parameters() if parameter.ndim != 4]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    rate, momentum = settings.highest_rate, settings.momentum
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=momentum, nesterov=momentum > 0)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=rate, betas=(momentum, _ADAM_BETA2))


def learning_rate(step: int, steps: int, settings: TrainSettings, processes: int = 1) -> float:
    """Gives the rate of one step: a linear rise, then the schedule's fall.

    Args:
        step: from 0.
        steps: of the whole training.
        processes: that train one network; each brings its batches to every step.
    """
    pictures = settings.batch * settings.batches_per_step * processes
    peak = settings.highest_rate * pictures / NOMINAL_BATCH
    warmup = max(1, round(settings.warmup * steps))
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * _fall(step, (step - warmup) / max(1, steps - warmup), steps, settings)


def _fall(step: int, progress: float, steps: int, settings: TrainSettings) -> float:
    """Share of the highest rate after the warm-up, ``progress`` from 0 to 1."""
    match settings.schedule:
        case "cosine":
            return settings.final_rate + (1 - settings.final_rate) * (1 + math.cos(math.pi * progress)) / 2
        case "linear":
            return 1 - (1 - settings.final_rate) * progress
        case "step":
            return _STEP_FACTOR ** sum(step >= share * steps for share in settings.milestones)


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
