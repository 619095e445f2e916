"""Cells to channels, as Darknet's two layers have it (blas.c, reorg_cpu)."""

from __future__ import annotations

from torch import Tensor, nn


def cells_to_channels(x: Tensor, stride: int) -> Tensor:
    """Gives ``(B, C, H, W)`` as ``(B, stride^2 * C, H / stride, W / stride)``, offsets outermost in the channels."""
    b, c, h, w = x.shape
    blocks = x.reshape(b, c, h // stride, stride, w // stride, stride)
    return blocks.permute(0, 3, 5, 1, 2, 4).reshape(b, stride**2 * c, h // stride, w // stride)


class ReorgBlock(nn.Module):
    """``[reorg]``: reads its input in another shape than it has; see ``Reorg``."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Gives ``(B, C * stride^2, H / stride, W / stride)``."""
        b, c, h, w = x.shape
        s = self.stride
        wide = x.reshape(b, c // s**2, h * s, w * s)
        return cells_to_channels(wide, s).reshape(b, c * s**2, h // s, w // s)


class Reorg3dBlock(nn.Module):
    """``[reorg3d]``: the cells of every block of ``stride`` x ``stride`` as channels."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Gives ``(B, C * stride^2, H / stride, W / stride)``."""
        return cells_to_channels(x, self.stride)
