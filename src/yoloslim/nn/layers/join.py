"""Layers that join several maps."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from yoloslim.graph.ops import Shortcut
from yoloslim.nn.layers.activation import Activation

Normalization = Literal["none", "relu", "softmax"]

NORMALIZATION_EPS = 1e-4
"""Keeps weights that are all 0 from dividing by zero (blas.c, shortcut_multilayer_cpu)."""


class RouteBlock(nn.Module):
    """Part ``group_id`` of ``groups`` equal channel parts of every input, concatenated."""

    def __init__(self, groups: int, group_id: int) -> None:
        super().__init__()
        self.groups = groups
        self.group_id = group_id

    def forward(self, *inputs: Tensor) -> Tensor:
        """Gives the joined map, ``(B, sum of C / groups, H, W)``."""
        parts = [x if self.groups == 1 else x.chunk(self.groups, 1)[self.group_id] for x in inputs]
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


class ShortcutBlock(nn.Module):
    """Sum of all inputs in the channels of the first; shorter inputs add to the front channels (shortcut_layer.c).

    Args:
        channels: of the first input.
        inputs: how many there are.
    """

    def __init__(self, op: Shortcut, channels: int, inputs: int) -> None:
        super().__init__()
        self.activation = Activation(op.activation)
        self.normalization = op.normalization
        shape = {"none": (), "per_feature": (inputs,), "per_channel": (inputs, channels)}[op.weights]
        self.weights = nn.Parameter(torch.ones(shape)) if shape else None

    def forward(self, first: Tensor, *others: Tensor) -> Tensor:
        """Gives the activated sum, in the shape of ``first``."""
        others = tuple(_sampled(other, first.shape[2]) for other in others)
        total, *rest = (first, *others) if self.weights is None else self._weighted(self.weights, first, *others)
        for other in rest:
            shared = min(total.shape[1], other.shape[1])
            if shared == total.shape[1]:
                total = total + other[:, :shared]
            else:
                total = torch.cat([total[:, :shared] + other, total[:, shared:]], 1)
        return self.activation(total)  # type: ignore[no-any-return]

    def _weighted(self, weights: Tensor, *inputs: Tensor) -> list[Tensor]:
        factors = normalized(weights, self.normalization).view(len(inputs), -1, 1, 1)
        cut = (x[:, : inputs[0].shape[1]] for x in inputs)
        return [x * factor[: x.shape[1]] for x, factor in zip(cut, factors, strict=True)]


def _sampled(x: Tensor, height: int) -> Tensor:
    """Every so manieth cell of a map, down and across, so that it has that height."""
    step = x.shape[2] // height
    return x if step == 1 else x[:, :, ::step, ::step]


def normalized(weights: Tensor, normalization: Normalization) -> Tensor:
    """Gives the factors that the weights of a shortcut stand for, in the same shape; its inputs are along axis 0."""
    if normalization == "none":
        return weights
    sizes = weights.relu() if normalization == "relu" else (weights - weights.amax(0)).exp()
    return sizes / (sizes.sum(0) + NORMALIZATION_EPS)


class ScaleChannelsBlock(nn.Module):
    """Features times a scale for each channel, ``(B, C, 1, 1)``, or for each cell, ``(B, 1, H, W)``."""

    def __init__(self, activation: str) -> None:
        super().__init__()
        self.activation = Activation(activation)

    def forward(self, scales: Tensor, features: Tensor) -> Tensor:
        """Gives the activated product, in the shape of ``features``."""
        return self.activation(features * scales)  # type: ignore[no-any-return]


class SamBlock(nn.Module):
    """Product of two maps of one shape, value by value (sam_layer.c)."""

    def __init__(self, activation: str) -> None:
        super().__init__()
        self.activation = Activation(activation)

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """Gives the activated product."""
        return self.activation(x * other)  # type: ignore[no-any-return]
