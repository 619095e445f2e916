"""What a network's input looks like, and the other sizes that it may have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yoloslim.boxes.placement import ResizeMode

Size = tuple[int, int]
"""Width and height, pixels."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What a network's input looks like.

    Attributes:
        size: width and height, pixels.
        resize: how a picture is laid into it.
        channels: 3 for colour, 1 for grey.
        stride: sides that are not those of ``size`` are multiples of it.
    """

    size: Size
    resize: ResizeMode
    channels: int = 3
    stride: int = 32

    def scaled(self, factor: float) -> Size:
        """Gives the size that is nearest to ``factor`` times that of the input."""
        width, height = (max(1, round(side * factor / self.stride)) * self.stride for side in self.size)
        return width, height


def fitted_sizes(pictures: NDArray[np.int64], layout: Layout) -> NDArray[np.int64]:
    """Gives the width and height that pictures take in a network's input, borders left out; both of shape (N, 2)."""
    if layout.resize == "stretch":
        return np.tile(np.array(layout.size, np.int64), (len(pictures), 1))
    scale = (np.array(layout.size) / pictures).min(axis=1, keepdims=True)
    return np.asarray(np.maximum(1, np.round(pictures * scale)), np.int64)


def holding_size(pictures: NDArray[np.int64], limit: Size, stride: int) -> Size:
    """Gives the smallest size that holds pictures as large as they are in a letterbox of size ``limit``.

    Args:
        pictures: width and height of each, shape (N, 2), pixels.
        limit: the largest size, pixels.
        stride: sides are multiples of it, or those of ``limit``.
    """
    sides = fitted_sizes(pictures, Layout(limit, "letterbox")).max(axis=0)
    width, height = np.minimum(-(-sides // stride) * stride, limit).tolist()
    return width, height
