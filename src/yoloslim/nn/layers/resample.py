"""Pooling and upsampling with Darknet's borders."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from yoloslim.graph.ops import MaxPool


class MaxPoolBlock(nn.Module):
    """Largest value of each window; the total padding lies half in front (rounded down), the rest behind.

    Maps ``(B, C, H, W)`` to ``(B, C, H', W')``, where ``H' = (H + padding - size) // stride + 1`` (maxpool_layer.c).
    """

    def __init__(self, op: MaxPool) -> None:
        super().__init__()
        self.op = op

    def forward(self, x: Tensor) -> Tensor:
        """Gives the pooled map; cells outside of the map never win."""
        left, right = self._padding(x.shape[3], self.op.stride_x)
        top, bottom = self._padding(x.shape[2], self.op.stride_y)
        strides = (self.op.stride_y, self.op.stride_x)
        if left == right and top == bottom and max(left, top) <= self.op.size // 2:
            return F.max_pool2d(x, self.op.size, strides, padding=(top, left))
        x = F.pad(x, (left, right, top, bottom), value=float("-inf"))
        return F.max_pool2d(x, self.op.size, strides)

    def _padding(self, side: int, stride: int) -> tuple[int, int]:
        """Cells before and behind that windows really reach: an even map needs none for size 2, stride 2."""
        before = self.op.padding // 2
        windows = (side + self.op.padding - self.op.size) // stride + 1
        reach = (windows - 1) * stride + self.op.size
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
