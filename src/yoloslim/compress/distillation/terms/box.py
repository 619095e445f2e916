"""Boxes that are to lie where the teacher's do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from yoloslim.compress.distillation.scene import Scene
from yoloslim.compress.distillation.term import Compared, Reduction
from yoloslim.losses.decode import every_box, matched_boxes
from yoloslim.losses.iou import paired_iou

_SIDES = (0.05, 1e4)  # cells: of smaller and larger boxes an overlap says nothing in float32
_LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class TruthBoxes:
    """Pulls boxes to their objects, but only where the student's lies farther off than the teacher's.

    The teacher is no aim but a bound: where the student is as good, it is left alone (Chen et al., Learning Efficient
    Object Detection Models with Knowledge Distillation, 2017). Reduced as `BoxHint`.
    """

    compares: ClassVar[Compared] = "heads"
    reduction: Reduction = "mean"

    def __call__(self, student: Sequence[Tensor], teacher: Sequence[Tensor], scene: Scene) -> Tensor:
        """Gives a scalar; 0 where both are equal, or the student is the better."""
        return _over_matches(student, teacher, scene, _beyond_the_teacher, self.reduction)


@dataclass(frozen=True, slots=True)
class BoxHint:
    """Pulls the box of every match to the teacher's.

    ``log(1 + d)``, ``d`` being the squared distance of centre and sides as a share of the object's area, in the mean
    over the matches of all heads: the logarithm bounds the gradient of sides, which are exponentials (Barron, A General
    and Adaptive Robust Loss Function, 2019). The originals take the squared distance in cells, as a sum.
    """

    compares: ClassVar[Compared] = "heads"
    reduction: Reduction = "mean"

    def __call__(self, student: Sequence[Tensor], teacher: Sequence[Tensor], scene: Scene) -> Tensor:
        """Gives a scalar; 0 where both are equal."""
        return _over_matches(student, teacher, scene, _to_the_teacher, self.reduction)


@dataclass(frozen=True, slots=True)
class Localisation:
    """Pulls every box to the teacher's by 1 less their CIoU; boxes count by the objectness that the teacher gives them.

    Where the teacher sees something, its box says where, also beside the cells that the labels name; the region is that
    of Zheng et al., Localization Distillation for Dense Object Detection, 2022, their distribution a box here.
    """

    compares: ClassVar[Compared] = "heads"

    def __call__(self, student: Sequence[Tensor], teacher: Sequence[Tensor], scene: Scene) -> Tensor:
        """Gives a scalar; 0 where both are equal."""
        found = student[0].new_zeros(())
        objects = student[0].new_zeros(())
        for own, other, yolo, stride in zip(student, teacher, scene.yolos, scene.strides, strict=True):
            worth = other[..., 4].detach().sigmoid().flatten()
            boxes, aims = (_sound(every_box(head, yolo, stride)) for head in (own, other.detach()))
            found = found + (worth * (1 - paired_iou(boxes, aims, "ciou"))).sum()
            objects = objects + worth.sum()
        return found / objects.clamp(min=_LEAST)


def _sound(boxes: Tensor) -> Tensor:
    flat = boxes.reshape(-1, 4)
    return torch.cat([flat[:, :2], flat[:, 2:].clamp(*_SIDES)], 1)


Distance = Callable[[Tensor, Tensor, Tensor], Tensor]
"""How far off matched boxes are, shape (P,), from the student's, the teacher's and the objects', shape (P, 4)."""


def _beyond_the_teacher(own: Tensor, other: Tensor, truth: Tensor) -> Tensor:
    distance = _squared(own, truth)
    return distance * (distance > _squared(other, truth))


def _to_the_teacher(own: Tensor, other: Tensor, truth: Tensor) -> Tensor:
    return _squared(own, other)


def _squared(boxes: Tensor, aims: Tensor) -> Tensor:
    return (boxes - aims).square().sum(1)


def _over_matches(
    student: Sequence[Tensor], teacher: Sequence[Tensor], scene: Scene, distance: Distance, reduction: Reduction
) -> Tensor:
    found, count = student[0].new_zeros(()), 0
    for own, other, yolo, stride, matches in zip(
        student, teacher, scene.yolos, scene.strides, scene.matches, strict=True
    ):
        boxes, aims = (matched_boxes(head[matches.cells], matches, yolo, stride) for head in (own, other.detach()))
        off = distance(boxes, aims, matches.box)
        area = (matches.box[:, 2] * matches.box[:, 3]).clamp(min=_LEAST)
        found = found + (torch.log1p(off / area) if reduction == "mean" else off).sum()
        count += len(off)
    return found / max(count, 1) if reduction == "mean" else found
