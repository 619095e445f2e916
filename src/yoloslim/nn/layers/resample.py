"""Pooling and upsampling with Darknet's borders."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yoloslim.graph.ops import Crop, LocalAvgPool, MaxPool
from yoloslim.nn.layers.blur import blur_of


class MaxPoolBlock(nn.Module):
    """Largest value of each window; the total padding lies half in front (rounded down), the rest behind.

    Maps ``(B, C, H, W)`` to ``(B, C, H', W')``, where ``H' = (H + padding - size) // stride + 1`` (maxpool_layer.c).
    Behind it lies a blur where the section asks for it.
    """

    def __init__(self, op: MaxPool) -> None:
        super().__init__()
        self.op = op
        self.blur = blur_of(op)

    def forward(self, x: Tensor) -> Tensor:
        """Gives the pooled map; cells outside of the map never win."""
        strides = self.op.strides
        top, bottom = pool_padding(self.op, x.shape[2], strides[0])
        left, right = pool_padding(self.op, x.shape[3], strides[1])
        if left == right and top == bottom and max(left, top) <= self.op.size // 2:
            return self.blur(F.max_pool2d(x, self.op.size, strides, padding=(top, left)))  # type: ignore[no-any-return]
        x = F.pad(x, (left, right, top, bottom), value=float("-inf"))
        return self.blur(F.max_pool2d(x, self.op.size, strides))  # type: ignore[no-any-return]


class MaxPoolDepthBlock(nn.Module):
    """Largest of every ``out_channels``-th channel: ``(B, C, H, W) -> (B, out_channels, H, W)``."""

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.out_channels = out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Gives the pooled map."""
        rest = -x.shape[1] % self.out_channels
        x = F.pad(x, (0, 0, 0, 0, 0, rest), value=float("-inf"))
        b, _, h, w = x.shape
        return x.reshape(b, -1, self.out_channels, h, w).amax(1)


class LocalAvgPoolBlock(nn.Module):
    """Mean of each window over the cells inside of the map; shapes and windows as of ``MaxPoolBlock``."""

    def __init__(self, op: LocalAvgPool) -> None:
        super().__init__()
        self.op = op

    def forward(self, x: Tensor) -> Tensor:
        """Gives the means."""
        strides = (self.op.stride_y, self.op.stride_x)
        top, bottom = pool_padding(self.op, x.shape[2], strides[0])
        left, right = pool_padding(self.op, x.shape[3], strides[1])
        sides = (left, right, top, bottom)
        sums = F.avg_pool2d(F.pad(x, sides), self.op.size, strides)
        return sums / F.avg_pool2d(F.pad(torch.ones_like(x[:1, :1]), sides), self.op.size, strides)


def pool_padding(op: MaxPool | LocalAvgPool, side: int, stride: int) -> tuple[int, int]:
    """Gives the cells before and behind a side of the map that windows really reach (maxpool_layer.c).

    An even map needs none behind it for size 2, stride 2.
    """
    before = op.padding // 2
    windows = (side + op.padding - op.size) // stride + 1
    reach = (windows - 1) * stride + op.size
    return before, max(0, reach - side - before)


class AvgPoolBlock(nn.Module):
    """Mean over the map: ``(B, C, H, W) -> (B, C, 1, 1)``."""

    def forward(self, x: Tensor) -> Tensor:
        """Gives the means."""
        return x.mean((2, 3), keepdim=True)


class UpsampleBlock(nn.Module):
    """Nearest-neighbour enlargement: ``(B, C, H, W) -> (B, C, H * stride, W * stride)``, values times ``scale``."""

    def __init__(self, stride: int, scale: float) -> None:
        super().__init__()
        self.stride = stride
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Gives the enlarged map."""
        x = F.interpolate(x, scale_factor=float(self.stride), mode="nearest")
        return x if self.scale == 1.0 else x * self.scale


class CropBlock(nn.Module):
    """The middle of the map: ``(B, C, H, W) -> (B, C, height, width)``, from 0..1 to -1..1 where asked for."""

    def __init__(self, op: Crop) -> None:
        super().__init__()
        self.op = op

    def forward(self, x: Tensor) -> Tensor:
        """Gives the cut map."""
        top, left = (x.shape[2] - self.op.height) // 2, (x.shape[3] - self.op.width) // 2
        x = x[:, :, top : top + self.op.height, left : left + self.op.width]
        return x * 2 - 1 if self.op.scaled else x
