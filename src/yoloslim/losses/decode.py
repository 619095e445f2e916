"""Head map values as boxes, with gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from yoloslim.graph.ops import Yolo
from yoloslim.losses.assign import Matches

_MAX_LOG_SIZE = 8.0  # exp(8) anchors: larger than any picture, and far from overflow in the gradient


def matched_boxes(raw: Tensor, matches: Matches, yolo: Yolo, stride: tuple[float, float]) -> Tensor:
    """Gives the boxes that the matched cells predict, shape (P, 4), centre x, centre y, width, height in cells.

    Args:
        raw: shape (P, 4 or more), the head map at the matches, float32.
        stride: pixels a cell, horizontally and vertically.
    """
    corner = torch.stack([matches.column, matches.row], 1).to(raw.dtype)
    return boxes_at(raw[:, yolo.box], corner, anchors_in_cells(raw, yolo, stride)[matches.anchor], yolo)


def every_box(head_map: Tensor, yolo: Yolo, stride: tuple[float, float]) -> Tensor:
    """Gives the box of every cell and anchor, shape (B, anchors, h, w, 4), centre x, centre y, width, height in cells.

    Args:
        head_map: shape (B, anchors, h, w, values of a box), raw.
        stride: pixels a cell, horizontally and vertically.
    """
    rows, columns = (torch.arange(count, device=head_map.device) for count in head_map.shape[2:4])
    corner = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1).to(head_map.dtype)  # (h, w, 2)
    anchors = anchors_in_cells(head_map, yolo, stride)[:, None, None]  # (anchors, 1, 1, 2)
    return boxes_at(head_map[..., yolo.box], corner, anchors, yolo)


def boxes_at(raw: Tensor, corner: Tensor, anchors: Tensor, yolo: Yolo) -> Tensor:
    """Gives the boxes of raw values, in cells; all shapes end in 4, 2 and 2 and fit by broadcasting.

    Args:
        raw: x, y, width, height as the network gives them.
        corner: column and row of the cell.
        anchors: width and height of the anchor, in cells.
    """
    offset = raw[..., :2] if yolo.new_coords else raw[..., :2].sigmoid()
    centre = offset * yolo.scale_x_y - (yolo.scale_x_y - 1) / 2 + corner
    sides = (2 * raw[..., 2:]).square() if yolo.new_coords else raw[..., 2:].clamp(max=_MAX_LOG_SIZE).exp()
    return torch.cat([centre, sides * anchors], -1)


def anchors_in_cells(like: Tensor, yolo: Yolo, stride: tuple[float, float]) -> Tensor:
    """Gives width and height of each anchor of a head, shape (anchors, 2), of the kind of ``like``."""
    return like.new_tensor(yolo.used_anchors(stride)) / like.new_tensor(stride)


def logits_of(raw: Tensor, yolo: Yolo) -> Tensor:
    """Gives objectness or class values as logits; with ``new_coords`` the network gives probabilities."""
    return torch.logit(raw, eps=1e-6) if yolo.new_coords else raw
