"""Intersection over union of paired boxes, with gradients."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

IouKind = Literal["iou", "giou", "ciou"]

_EPS = 1e-9


def paired_iou(a: Tensor, b: Tensor, kind: IouKind = "iou") -> Tensor:
    """Gives the overlap of each box with its partner.

    Args:
        a: shape (N, 4), centre x, centre y, width, height; any unit, the same as ``b``.
        b: shape (N, 4), likewise.
        kind: ``iou`` in 0..1; ``giou`` (Rezatofighi et al., 2019) and ``ciou`` (Zheng et al., 2020) in -1..1, with
            gradients for boxes that do not touch.

    Returns:
        Shape (N,).
    """
    a_low, a_high = a[:, :2] - a[:, 2:] / 2, a[:, :2] + a[:, 2:] / 2
    b_low, b_high = b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2
    overlap = (torch.minimum(a_high, b_high) - torch.maximum(a_low, b_low)).clamp(min=0).prod(1)
    union = a[:, 2:].prod(1) + b[:, 2:].prod(1) - overlap
    iou = overlap / (union + _EPS)
    if kind == "iou":
        return iou
    hull = torch.maximum(a_high, b_high) - torch.minimum(a_low, b_low)
    if kind == "giou":
        area = hull.prod(1)
        return iou - (area - union) / (area + _EPS)
    distance = (a[:, :2] - b[:, :2]).square().sum(1) / (hull.square().sum(1) + _EPS)
    return iou - distance - _aspect_penalty(a, b, iou)


def _aspect_penalty(a: Tensor, b: Tensor, iou: Tensor) -> Tensor:
    angle = torch.atan2(a[:, 2], a[:, 3]) - torch.atan2(b[:, 2], b[:, 3])
    difference = 4 / math.pi**2 * angle.square()
    with torch.no_grad():
        weight = difference / (1 - iou + difference + _EPS)
    return weight * difference
