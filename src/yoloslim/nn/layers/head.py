"""The view of a ``[yolo]`` layer's input as anchors and their numbers."""

from __future__ import annotations

from torch import Tensor, nn

from yoloslim.graph.ops import Yolo


class HeadBlock(nn.Module):
    """Head map: ``(B, A * (5 + classes), h, w) -> (B, A, h, w, 5 + classes)``: x, y, w, h, objectness, classes; raw.

    Of a Gaussian head ``9 + classes``: an uncertainty follows each of x, y, w, h.
    """

    def __init__(self, op: Yolo) -> None:
        super().__init__()
        self.anchors = len(op.mask)

    def forward(self, x: Tensor) -> Tensor:
        """Gives the head map, values as the convolution before computed them."""
        b, c, h, w = x.shape
        return x.view(b, self.anchors, c // self.anchors, h, w).permute(0, 1, 3, 4, 2)
