"""Background whose box lies on an object all the same: Darknet's ``ignore_thresh`` and ``truth_thresh``."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from yoloslim.graph.ops import Yolo
from yoloslim.losses.assign import Matches
from yoloslim.losses.decode import every_box
from yoloslim.losses.iou import paired_iou

_SLACK = 1e-3  # cells; rounding must not leave out a box at the edge of its window


class NearMisses(NamedTuple):
    """Boxes of a head that overlap objects; one entry a pair.

    Attributes:
        cell: index into the cells of the head, laid out (B, anchors, h, w).
        target: index of the object.
        overlap: IoU, 0..1.
    """

    cell: Tensor
    target: Tensor
    overlap: Tensor


def near_misses(
    head_map: Tensor, targets: Tensor, yolo: Yolo, stride: tuple[float, float], threshold: float
) -> NearMisses:
    """Gives every predicted box that overlaps an object of its picture by more than a threshold.

    Pairs are looked for only where that is possible: boxes overlap by more than ``t`` only when their centres are
    closer, in x and in y, than ``(1 - t) * max(1, 1 / (2 t))`` of the object's side.

    Args:
        head_map: shape (B, anchors, h, w, values of a box), raw.
        targets: shape (M, 6): picture in the batch, class, centre x, centre y, width, height as shares of the input.
        stride: pixels a cell, horizontally and vertically.
        threshold: above 0, to 1.
    """
    with torch.no_grad():
        _, anchors, rows, columns = head_map.shape[:4]
        objects = targets[:, 2:] * targets.new_tensor([columns, rows] * 2)
        low, count = _windows(objects, threshold, yolo, (columns, rows))
        width, area = count[:, 0], count.prod(1)
        target, rank = _ragged(area * anchors)
        anchor, place = rank // area[target], rank % area[target]
        row, column = low[target, 1] + place // width[target], low[target, 0] + place % width[target]
        cell = ((targets[target, 0].long() * anchors + anchor) * rows + row) * columns + column
        boxes = every_box(head_map, yolo, stride).view(-1, 4)
        pairs = _of_like_area(boxes, objects, cell, target, threshold)
        cell, target = cell[pairs], target[pairs]
        overlap = paired_iou(boxes[cell], objects[target])
        above = (overlap > threshold).nonzero()[:, 0]
        return NearMisses(cell[above], target[above], overlap[above])


def ignored_cells(near: NearMisses, threshold: float, matches: Matches, shape: torch.Size) -> Tensor:
    """Gives the cells whose box overlaps an object by more than the threshold, but that answer for none.

    Args:
        shape: (B, anchors, h, w), also that of the result, bool.
    """
    ignored = torch.zeros(shape.numel(), dtype=torch.bool, device=near.cell.device)
    ignored[near.cell[near.overlap > threshold]] = True
    ignored[matches.flat(shape)] = False
    return ignored.view(shape)


def with_near_misses(
    matches: Matches, near: NearMisses, threshold: float, targets: Tensor, shape: torch.Size
) -> Matches:
    """Gives the matches and, of the other cells, those whose box overlaps an object by more than the threshold.

    Each answers for the object that it overlaps most.

    Args:
        shape: (B, anchors, h, w).
    """
    cell, target, overlap = (part[near.overlap > threshold] for part in near)
    best = torch.zeros(shape.numel(), dtype=overlap.dtype, device=overlap.device)
    best.scatter_reduce_(0, cell, overlap, "amax")
    best[matches.flat(shape)] = torch.inf  # they answer already
    added = (overlap >= best[cell]).nonzero()[:, 0]
    cells = torch.unravel_index(cell[added], shape)
    return matches.joined(Matches.at(cells, target[added], targets, (shape[2], shape[3])))


def _windows(objects: Tensor, threshold: float, yolo: Yolo, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """First cell and number of cells, (x, y), shapes (M, 2), whose boxes can overlap each object by the threshold."""
    reach = (1 - threshold) * max(1.0, 0.5 / threshold) * objects[:, 2:] + (yolo.scale_x_y - 1) / 2 + _SLACK
    last = objects.new_tensor(grid) - 1
    low = (objects[:, :2] - reach - 1).ceil().clamp(min=0)
    high = torch.minimum((objects[:, :2] + reach).floor(), last)
    return low.long(), (high - low + 1).clamp(min=0).long()


def _of_like_area(boxes: Tensor, objects: Tensor, cell: Tensor, target: Tensor, threshold: float) -> Tensor:
    """Indices of the pairs whose areas would allow such an overlap."""
    found, wanted = (sides[:, 2] * sides[:, 3] for sides in (boxes, objects))
    ratio = found[cell] / wanted[target]
    return ((ratio > threshold) & (ratio * threshold < 1)).nonzero()[:, 0]


def _ragged(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Owner and rank of each of ``counts[i]`` members of owner i, shapes (counts.sum(),)."""
    owner = torch.repeat_interleave(counts)
    start = counts.cumsum(0) - counts
    return owner, torch.arange(len(owner), device=counts.device) - start[owner]
