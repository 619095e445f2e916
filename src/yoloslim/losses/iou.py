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
        a: shape (..., 4), centre x, centre y, width, height; any unit, the same as ``b``.
        b: likewise; both are broadcast.
        kind: ``iou`` in 0..1; with gradients for boxes that do not touch: ``giou`` (Rezatofighi et al., 2019) in
            -1..1, and, in as much, ``diou`` and ``ciou``, which also compares the proportions (Zheng et al., 2020).

    Returns:
        Shape (...).
    """
    (ax, ay, a_width, a_height), (bx, by, b_width, b_height) = a.unbind(-1), b.unbind(-1)
    width, height = _shared(ax, a_width, bx, b_width), _shared(ay, a_height, by, b_height)
    overlap = width.clamp(min=0) * height.clamp(min=0)
    union = a_width * a_height + b_width * b_height - overlap
    iou = overlap / (union + _EPS)
    if kind == "iou":
        return iou
    hull_width, hull_height = a_width + b_width - width, a_height + b_height - height
    if kind == "giou":
        area = hull_width * hull_height
        return iou - (area - union) / (area + _EPS)
    distance = ((ax - bx).square() + (ay - by).square()) / (hull_width.square() + hull_height.square() + _EPS)
    if kind == "diou":
        return iou - distance
    return iou - distance - _aspect_penalty(torch.atan2(a_width, a_height) - torch.atan2(b_width, b_height), iou)


def _shared(a_centre: Tensor, a_side: Tensor, b_centre: Tensor, b_side: Tensor) -> Tensor:
    """The length that two sides share; below 0 where they do not touch."""
    high = torch.minimum(a_centre + a_side / 2, b_centre + b_side / 2)
    return high - torch.maximum(a_centre - a_side / 2, b_centre - b_side / 2)


def _aspect_penalty(angle: Tensor, iou: Tensor) -> Tensor:
    difference = 4 / math.pi**2 * angle.square()
    with torch.no_grad():
        weight = difference / (1 - iou + difference + _EPS)
    return weight * difference
