"""What distillation terms know of a batch beside what the networks say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from yoloslim.graph.ops import Yolo
from yoloslim.losses.assign import Matches
from yoloslim.losses.decode import anchors_in_cells

NEAR = 0.5
"""Share of an object's best overlap with any anchor above which a cell is near it (Wang et al., 2019)."""

_AT_ONCE = 64  # objects, so that memory does not grow with crowded pictures


@dataclass(frozen=True, slots=True)
class Scene:
    """One entry a pair of heads.

    Attributes:
        yolos: the student's heads, as plain maps have them.
        strides: pixels a cell, horizontally and vertically.
        matches: cells of the student's head that answer for an object.
        near: shape (B, h, w), 1 for cells near an object, else 0.
    """

    yolos: tuple[Yolo, ...]
    strides: tuple[tuple[float, float], ...]
    matches: tuple[Matches, ...]
    near: tuple[Tensor, ...]


def near_objects(targets: Tensor, yolo: Yolo, stride: tuple[float, float], shape: Sequence[int]) -> Tensor:
    """Gives the cells of a head that are near an object, shape (B, h, w), 1 or 0.

    A cell is near where an anchor laid on its centre overlaps the object by more than ``NEAR`` times the best overlap
    of any anchor on any cell (Wang et al., Distilling Object Detectors with Fine-grained Feature Imitation, 2019).

    Args:
        targets: shape (M, 6): picture in the batch, class, centre x, centre y, width, height as shares of the input.
        shape: (B, h, w).
    """
    count, rows, columns = shape
    near = targets.new_zeros(count, rows * columns)
    anchors = anchors_in_cells(targets, yolo, stride)
    for part in torch.split(targets, _AT_ONCE):
        boxes = part[:, 2:] * part.new_tensor([columns, rows] * 2)
        overlaps = _overlaps(boxes, anchors, rows, columns)  # (M, anchors, h, w)
        cells = (overlaps > NEAR * overlaps.amax((1, 2, 3), keepdim=True)).any(1).flatten(1).to(near.dtype)
        near.index_add_(0, part[:, 0].long(), cells)
    return near.clamp(max=1).view(count, rows, columns)


def _overlaps(boxes: Tensor, anchors: Tensor, rows: int, columns: int) -> Tensor:
    """IoU of boxes (M, 4) in cells with every anchor (A, 2) on every cell's centre, shape (M, A, h, w)."""
    across = _shared(boxes[:, 0], boxes[:, 2], anchors[:, 0], columns)  # (M, A, w)
    down = _shared(boxes[:, 1], boxes[:, 3], anchors[:, 1], rows)  # (M, A, h)
    shared = down[..., :, None] * across[..., None, :]
    area = (boxes[:, 2] * boxes[:, 3])[:, None] + anchors.prod(1)
    return shared / (area[..., None, None] - shared)


def _shared(centre: Tensor, side: Tensor, anchor: Tensor, cells: int) -> Tensor:
    """Length that boxes share with anchors on the middle of each cell, along one axis, shape (M, A, cells)."""
    middle = torch.arange(cells, device=centre.device) + 0.5
    centre, side, half = centre[:, None, None], side[:, None, None], anchor[:, None] / 2
    low = torch.maximum(centre - side / 2, middle - half)
    high = torch.minimum(centre + side / 2, middle + half)
    return (high - low).clamp(min=0)
