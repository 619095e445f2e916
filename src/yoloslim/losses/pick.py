"""The values of a head map that a loss looks at, with a gradient that is written once."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from yoloslim.losses.assign import Matches


class Picked(NamedTuple):
    """Values of a head map, as the network gives them.

    Attributes:
        geometry: shape (P, objectness), of the box of each match, and its uncertainties in a Gaussian head.
        classes: shape (P, classes), of each match.
        objectness: shape (B, h, w, anchors), of every cell.
        cell: shape (P,), index of the matches into all cells.
    """

    geometry: Tensor
    classes: Tensor
    objectness: Tensor
    cell: Tensor


def pick(head_map: Tensor, matches: Matches, objectness: int) -> Picked:
    """Gives the values of a head map that a loss needs.

    Indexing does the same. There each part fills a gradient of the whole head map, and these are added; with few
    matches that is most of the time of a loss. Here there is one gradient, in the order in which convolutions give
    head maps where channels are last in memory.

    Args:
        head_map: shape (B, anchors, h, w, values of a box).
        objectness: where the objectness stands among the values.
    """
    _, anchors, rows, columns, _ = head_map.shape
    cell = ((matches.image * rows + matches.row) * columns + matches.column) * anchors + matches.anchor
    geometry, classes, every = _Pick.apply(head_map, cell, objectness)  # type: ignore[no-untyped-call]
    return Picked(geometry, classes, every, cell)


class _Pick(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, head_map: Tensor, cell: Tensor, objectness: int) -> tuple[Tensor, Tensor, Tensor]:
        cells = head_map.permute(0, 2, 3, 1, 4)  # (B, h, w, anchors, values)
        ctx.save_for_backward(cell)
        ctx.shape, ctx.objectness = cells.shape, objectness
        values = cells.reshape(-1, cells.shape[-1]).index_select(0, cell)
        every = cells[..., objectness].clone(memory_format=torch.contiguous_format)
        return values[:, :objectness], values[:, objectness + 1 :].contiguous(), every

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (cell,), (geometry, classes, objectness) = ctx.saved_tensors, gradients
        whole = objectness.new_zeros(ctx.shape)
        picked = torch.cat([geometry, geometry.new_zeros(len(cell), 1), classes], 1)  # whole rows are added up faster
        whole.view(-1, ctx.shape[-1]).index_add_(0, cell, picked)
        whole[..., ctx.objectness] = objectness
        return whole.permute(0, 3, 1, 2, 4), None, None
