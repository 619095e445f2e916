"""Which cell and anchor answers for which object, by the shapes of anchors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from yoloslim.graph.ops import Yolo


@dataclass(frozen=True, slots=True)
class Matches:
    """The positive cells of one head; every tensor has one entry a match.

    Attributes:
        image: index of the picture in the batch.
        anchor: index into the head's anchors.
        row: cell from the top.
        column: cell from the left.
        box: shape (P, 4), centre x, centre y, width, height in cells of this head.
        class_id: class of the object.
    """

    image: Tensor
    anchor: Tensor
    row: Tensor
    column: Tensor
    box: Tensor
    class_id: Tensor

    @property
    def cells(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Index of the matches into a head map, (image, anchor, row, column)."""
        return self.image, self.anchor, self.row, self.column

    def flat(self, shape: torch.Size) -> Tensor:
        """Gives the index of the matches into all cells of a head of shape (B, anchors, h, w)."""
        return ((self.image * shape[1] + self.anchor) * shape[2] + self.row) * shape[3] + self.column

    def joined(self, other: Matches) -> Matches:
        """Gives these matches and those of ``other``."""
        return Matches(*(torch.cat([getattr(self, part.name), getattr(other, part.name)]) for part in fields(self)))

    @staticmethod
    def at(cells: tuple[Tensor, ...], target: Tensor, targets: Tensor, grid: tuple[int, int]) -> Matches:
        """Gives the matches of cells with objects, index by index.

        Args:
            cells: image, anchor, row and column, each of shape (P,).
            target: shape (P,), index into ``targets``, shape (M, 6).
            grid: rows and columns of the head map.
        """
        chosen = targets[target]
        rows, columns = grid
        box = chosen[:, 2:6] * chosen.new_tensor([columns, rows] * 2)
        image, anchor, row, column = cells
        return Matches(image, anchor, row, column, box, chosen[:, 1].long())


def assign(
    targets: Tensor, yolos: Sequence[Yolo], grids: Sequence[tuple[int, int]], size: tuple[int, int], threshold: float
) -> list[Matches]:
    """Gives each head's matches: the cell that holds an object's centre, with every anchor of a similar shape.

    An anchor is similar when width and height, laid on the object's, overlap by more than ``threshold``; the best one
    of all heads always counts, so no object is left out. There is no loop over objects.

    Args:
        targets: shape (M, 6): picture in the batch, class, centre x, centre y, width, height as shares of the input.
        yolos: the heads.
        grids: rows and columns of each head map.
        size: width and height of the input, pixels.
        threshold: of the anchor's overlap, 0..1 (Darknet's ``iou_thresh``); with 1 the best anchor answers alone.
    """
    strides = [(size[0] / columns, size[1] / rows) for rows, columns in grids]
    anchors = [pair for yolo, stride in zip(yolos, strides, strict=True) for pair in yolo.used_anchors(stride)]
    similar = _similar_anchors(targets[:, 4:6] * targets.new_tensor(size), anchors, threshold)  # (M, all anchors)
    parts = torch.split(similar, [len(yolo.mask) for yolo in yolos], dim=1)
    return [_matches(targets, part, grid) for part, grid in zip(parts, grids, strict=True)]


def _similar_anchors(sides: Tensor, pairs: Sequence[tuple[float, float]], threshold: float) -> Tensor:
    """Bool of shape (M, anchors of all heads) from object sides (M, 2) in pixels."""
    anchors = sides.new_tensor(pairs)  # (K, 2)
    width, height = torch.minimum(sides[:, None], anchors).unbind(2)
    overlap = width * height
    iou = overlap / ((sides[:, 0] * sides[:, 1])[:, None] + anchors[:, 0] * anchors[:, 1] - overlap + 1e-9)
    best = iou == iou.amax(1, keepdim=True)
    return (iou > threshold) | best


def _matches(targets: Tensor, similar: Tensor, grid: tuple[int, int]) -> Matches:
    index, anchor = similar.nonzero(as_tuple=True)
    chosen = targets[index]
    rows, columns = grid
    box = chosen[:, 2:6] * chosen.new_tensor([columns, rows, columns, rows])
    column = box[:, 0].long().clamp(0, columns - 1)
    row = box[:, 1].long().clamp(0, rows - 1)
    return Matches(chosen[:, 0].long(), anchor, row, column, box, chosen[:, 1].long())
