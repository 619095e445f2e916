"""Dropout of whole squares (Ghiasi et al., DropBlock, 2018)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yoloslim.graph.ops import Dropout


class DropBlock(nn.Module):
    """Zeroes squares of every channel in training, about ``probability`` of its cells, and makes up for them.

    Maps ``(B, C, H, W)`` to the same shape; gives its input otherwise. Size and probability stay the same throughout a
    training (Darknet lets both grow).
    """

    def __init__(self, op: Dropout) -> None:
        super().__init__()
        self.op = op

    def forward(self, x: Tensor) -> Tensor:
        """Gives the map with squares missing."""
        if not self.training or not self.op.probability:
            return x
        height, width = x.shape[2:]
        side = max(1, min(self.op.block_cells or int(self.op.block_share * min(height, width)), height, width))
        inside = (height - side + 1, width - side + 1)  # corners of squares that lie in the map
        share = self.op.probability / side**2 * height * width / (inside[0] * inside[1])
        corners = (torch.rand(*x.shape[:2], *inside, device=x.device) < share).to(x.dtype)
        kept = 1 - F.max_pool2d(F.pad(corners, (side - 1,) * 4), side, stride=1)
        return x * kept * (kept.numel() / kept.sum().clamp(min=1))
