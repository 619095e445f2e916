"""A batch as the network sees it in training, on one sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from yoloslim.report.drawing import Picture, draw_boxes

_MOST = 16  # pictures on a sheet
_TILE_PX = 480  # longer side of a picture on it: labels are readable, whatever the network's input
_GAP_PX = 6


def batch_sheet(images: NDArray[np.uint8], targets: NDArray[np.float32], names: Sequence[str]) -> Picture:
    """Gives the first pictures of a batch with their boxes, shape (H, W, 3), BGR.

    Args:
        images: shape (B, C, H, W), RGB or grey.
        targets: shape (M, 6): picture in the batch, class, centre x, centre y, width, height as shares of the input.
        names: of the classes.
    """
    tiles = [_tile(planes, targets[targets[:, 0] == index], names) for index, planes in enumerate(images[:_MOST])]
    columns = math.ceil(math.sqrt(len(tiles)))
    height, width = tiles[0].shape[:2]
    across, down = width + _GAP_PX, height + _GAP_PX
    rows = math.ceil(len(tiles) / columns)
    sheet = np.full((rows * down - _GAP_PX, columns * across - _GAP_PX, 3), 255, np.uint8)
    for index, tile in enumerate(tiles):
        top, left = index // columns * down, index % columns * across
        sheet[top : top + height, left : left + width] = tile
    return sheet


def _tile(planes: NDArray[np.uint8], targets: NDArray[np.float32], names: Sequence[str]) -> Picture:
    """One picture, enlarged or reduced before its boxes are drawn."""
    channels = np.broadcast_to(planes[::-1], (3, *planes.shape[1:]))
    picture = np.ascontiguousarray(channels.transpose(1, 2, 0))
    scale = _TILE_PX / max(picture.shape[:2])
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized = np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=kind), np.uint8)
    height, width = resized.shape[:2]
    centre, half = targets[:, 2:4], targets[:, 4:6] / 2
    boxes = np.concatenate([centre - half, centre + half], 1) * np.array([width, height] * 2, np.float32)
    return draw_boxes(resized, boxes, targets[:, 1].astype(np.int64), names)
