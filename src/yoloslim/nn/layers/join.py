"""Layers that join several maps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from yoloslim.nn.layers.activation import Activation


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
    """Sum of all inputs in the channels of the first; shorter inputs add to the front channels (shortcut_layer.c)."""

    def __init__(self, activation: str) -> None:
        super().__init__()
        self.activation = Activation(activation)

    def forward(self, first: Tensor, *others: Tensor) -> Tensor:
        """Gives the activated sum, in the shape of ``first``."""
        for other in others:
            shared = min(first.shape[1], other.shape[1])
            if shared == first.shape[1]:
                first = first + other[:, :shared]
            else:
                first = torch.cat([first[:, :shared] + other, first[:, shared:]], 1)
        return self.activation(first)  # type: ignore[no-any-return]


class ScaleChannelsBlock(nn.Module):
    """Features times a scale for each channel, ``(B, C, 1, 1)``, or for each cell, ``(B, 1, H, W)``."""

    def __init__(self, activation: str) -> None:
        super().__init__()
        self.activation = Activation(activation)

    def forward(self, scales: Tensor, features: Tensor) -> Tensor:
        """Gives the activated product, in the shape of ``features``."""
        return self.activation(features * scales)  # type: ignore[no-any-return]
