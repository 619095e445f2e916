"""Intersection over union of paired boxes, with gradients."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

IouKind = Literal["iou", "giou", "diou", "ciou"]

_EPS = 1e-9


def paired_iou(a: Tensor, b: Tensor, kind: IouKind = "iou") -> Tensor:
    """Gives the overlap of each box with its partner.

    Args:
        a: shape (N, 4), centre x, centre y, width, height; any unit, the same as ``b``.
        b: shape (N, 4), likewise.
        kind: ``iou`` in 0..1; with gradients for boxes that do not touch: ``giou`` (Rezatofighi et al., 2019) in
            -1..1, and, in as much, ``diou`` and ``ciou``, which also compares the proportions (Zheng et al., 2020).

    Returns:
        Shape (N,).
    """
    a_low, a_high = a[:, :2] - a[:, 2:] / 2, a[:, :2] + a[:, 2:] / 2
    b_low, b_high = b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2
    shared = torch.minimum(a_high, b_high) - torch.maximum(a_low, b_low)  # (N, 2), below 0 where they do not touch
    overlap = _area(shared.clamp(min=0))
    union = _area(a[:, 2:]) + _area(b[:, 2:]) - overlap
    iou = overlap / (union + _EPS)
    if kind == "iou":
        return iou
    hull = a[:, 2:] + b[:, 2:] - shared
    if kind == "giou":
        area = _area(hull)
        return iou - (area - union) / (area + _EPS)
    distance = (a[:, :2] - b[:, :2]).square().sum(1) / (hull.square().sum(1) + _EPS)
    return iou - distance if kind == "diou" else iou - distance - _aspect_penalty(a, b, iou)


def _area(sides: Tensor) -> Tensor:
    return sides[:, 0] * sides[:, 1]  # the gradient of prod is slow


def _aspect_penalty(a: Tensor, b: Tensor, iou: Tensor) -> Tensor:
    angle = torch.atan2(a[:, 2], a[:, 3]) - torch.atan2(b[:, 2], b[:, 3])
    difference = 4 / math.pi**2 * angle.square()
    with torch.no_grad():
        weight = difference / (1 - iou + difference + _EPS)
    return weight * difference
