"""The blur that takes the strides of a layer with ``antialiasing`` (Zhang, 2019)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yoloslim.graph.ops import Convolution, MaxPool

TAPS = {2: (1 / 2, 1 / 2), 3: (1 / 4, 1 / 2, 1 / 4)}
"""The filter along one axis, by its side (convolutional_layer.c)."""


class BlurBlock(nn.Module):
    """Binomial filter over every channel, zeros outside: ``(B, C, H, W) -> (B, C, H', W')``.

    Args:
        side: of the filter, 3 with one zero around the map, or 2 with none.
        strides: down and across.
    """

    def __init__(self, side: int, strides: tuple[int, int]) -> None:
        super().__init__()
        self.side = side
        self.strides = strides

    def forward(self, x: Tensor) -> Tensor:
        """Gives the blurred map."""
        taps = torch.tensor(TAPS[self.side], dtype=x.dtype, device=x.device)
        kernel = torch.outer(taps, taps).expand(x.shape[1], 1, -1, -1)
        return F.conv2d(x, kernel, stride=self.strides, padding=(self.side - 1) // 2, groups=x.shape[1])


def blur_of(op: Convolution | MaxPool) -> nn.Module:
    """Gives the blur of a layer; an identity for none."""
    return BlurBlock(op.blur, (op.stride_y, op.stride_x)) if op.blur else nn.Identity()
