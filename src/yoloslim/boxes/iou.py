"""Overlap of boxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pairwise_iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Gives the intersection over union of every box of ``a`` with every box of ``b``.

    Computed in float64, so that a threshold decides as exact arithmetic would on nearly all float32 boxes.

    Args:
        a: shape (N, 4), xyxy.
        b: shape (M, 4), xyxy, in the same frame.

    Returns:
        Shape (N, M), 0..1; a box without area overlaps nothing, itself included.
    """
    first, second = a.astype(np.float64)[:, None], b.astype(np.float64)[None]  # (N, 1, 4), (1, M, 4)
    width = np.minimum(first[..., 2], second[..., 2]) - np.maximum(first[..., 0], second[..., 0])
    height = np.minimum(first[..., 3], second[..., 3]) - np.maximum(first[..., 1], second[..., 1])
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    union = _areas(first) + _areas(second) - shared
    iou: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)
    return iou


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    width, height = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    areas: NDArray[np.float64] = np.maximum(width, 0) * np.maximum(height, 0)
    return areas
