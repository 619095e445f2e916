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
        raw: shape (P, values of a box), the head map at the matches, float32.
        stride: pixels a cell, horizontally and vertically.
    """
    corner = torch.stack([matches.column, matches.row], 1).to(raw.dtype)
    anchors = raw.new_tensor(yolo.used_anchors(stride))[matches.anchor] / raw.new_tensor(stride)
    box = raw[:, yolo.box]
    offset = box[:, :2] if yolo.new_coords else box[:, :2].sigmoid()
    centre = offset * yolo.scale_x_y - (yolo.scale_x_y - 1) / 2 + corner
    sides = (2 * box[:, 2:]).square() if yolo.new_coords else box[:, 2:].clamp(max=_MAX_LOG_SIZE).exp()
    return torch.cat([centre, sides * anchors], 1)


def logits_of(raw: Tensor, yolo: Yolo) -> Tensor:
    """Gives objectness or class values as logits; with ``new_coords`` the network gives probabilities."""
    return torch.logit(raw, eps=1e-6) if yolo.new_coords else raw
