"""Squeeze-and-excitation (Hu et al., 2018) in the form of MobileNetV3 (Howard et al., 2019)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class SqueezeExciteBlock(nn.Module):
    """Channels times the hard sigmoid of a two-layer perceptron of their means, without biases.

    Maps ``(B, C, H, W)`` to the same shape.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, hidden, 1, bias=False)
        self.excite = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Gives the rescaled map."""
        means = x.mean((2, 3), keepdim=True)  # (B, C, 1, 1)
        return x * F.hardsigmoid(self.excite(F.relu(self.squeeze(means))))
