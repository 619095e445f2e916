"""Darknet's activations (activations.c) and ``h_swish`` (Howard et al., 2019)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SOFTMAX_EPS = 1e-4  # activations.c: keeps a position where every channel is small from dividing by zero


def _stair(x: Tensor) -> Tensor:
    floor = x.floor()
    return torch.where(floor % 2 == 0, (x / 2).floor(), (x - floor) + (x / 2).floor())


def _plse(x: Tensor) -> Tensor:
    inside = 0.125 * x + 0.5
    return torch.where(x < -4, 0.01 * (x + 4), torch.where(x > 4, 0.01 * (x - 4) + 1, inside))


def _lhtan(x: Tensor) -> Tensor:
    return torch.where(x < 0, 0.001 * x, torch.where(x > 1, 0.001 * (x - 1) + 1, x))


def _hard_mish(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, torch.where(x > -2, x * x / 2 + x, torch.zeros_like(x)))


def _normalize_channels(x: Tensor) -> Tensor:
    positive = x.clamp(min=0)
    return positive / (positive.sum(1, keepdim=True) + _SOFTMAX_EPS)


def _softmax_channels(x: Tensor) -> Tensor:
    exponents = x.exp()
    return exponents / (exponents.sum(1, keepdim=True) + _SOFTMAX_EPS)


def _softmax_channels_maxval(x: Tensor) -> Tensor:
    return _softmax_channels(x - x.amax(1, keepdim=True))


FUNCTIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "logistic": torch.sigmoid,
    "loggy": lambda x: 2 * torch.sigmoid(x) - 1,
    "relu": F.relu,
    "relu6": F.relu6,
    "elu": F.elu,
    "selu": lambda x: torch.where(x >= 0, 1.0507 * x, 1.0507 * 1.6732 * torch.expm1(x)),
    "relie": lambda x: F.leaky_relu(x, 0.01),
    "ramp": lambda x: F.relu(x) + 0.1 * x,
    "leaky": lambda x: F.leaky_relu(x, 0.1),
    "revleaky": lambda x: F.leaky_relu(x, 0.1),
    "tanh": torch.tanh,
    "gelu": lambda x: 0.5 * x * (1 + torch.tanh(0.797885 * x + 0.035677 * x**3)),
    "plse": _plse,
    "stair": _stair,
    "hardtan": F.hardtanh,
    "lhtan": _lhtan,
    "swish": F.silu,
    "mish": F.mish,
    "hard_mish": _hard_mish,
    "h_swish": F.hardswish,
    "normalize_channels": _normalize_channels,
    "normalize_channels_softmax": _softmax_channels,
    "normalize_channels_softmax_maxval": _softmax_channels_maxval,
}
"""Activation by its cfg name: ``(B, C, H, W) -> (B, C, H, W)``."""


class Activation(nn.Module):
    """One of Darknet's activations by its cfg name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, x: Tensor) -> Tensor:
        """Gives the activation of every value; shape unchanged."""
        return FUNCTIONS[self.name](x)

    def extra_repr(self) -> str:
        """Gives the name for printing."""
        return self.name
