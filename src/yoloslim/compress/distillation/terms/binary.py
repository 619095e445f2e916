"""Softened outputs, each value as a yes or no of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from yoloslim.compress.distillation.scene import Scene
from yoloslim.compress.distillation.term import Compared

_LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class BinaryObjectness:
    """Pulls the objectness of every box to the teacher's.

    The sum over all boxes, for each object that the teacher sees: the sum of its objectness, at least one a picture.
    """

    compares: ClassVar[Compared] = "heads"
    temperature: float = 1.0

    def __call__(self, student: Sequence[Tensor], teacher: Sequence[Tensor], scene: Scene) -> Tensor:
        """Gives a scalar; 0 where both are equal."""
        found = student[0].new_zeros(())
        objects = student[0].new_zeros(())
        for own, other in zip(student, teacher, strict=True):
            found = found + binary_divergence(own[..., 4], other[..., 4], self.temperature).sum()
            objects = objects + other[..., 4].sigmoid().sum()
        return found / objects.clamp(min=len(student[0])).detach()


@dataclass(frozen=True, slots=True)
class BinaryClasses:
    """Pulls each class of a box to the teacher's; boxes count by the objectness that the teacher gives them.

    Also a single class has a gradient, which a softmax does not give it (Yang et al., Bridging Cross-task Protocol
    Inconsistency for Distillation in Dense Object Detection, 2023).
    """

    compares: ClassVar[Compared] = "heads"
    temperature: float = 1.0

    def __call__(self, student: Sequence[Tensor], teacher: Sequence[Tensor], scene: Scene) -> Tensor:
        """Gives a scalar, a sum over the classes; 0 where both are equal."""
        found = student[0].new_zeros(())
        objects = student[0].new_zeros(())
        for own, other in zip(student, teacher, strict=True):
            worth = other[..., 4].detach().sigmoid()
            misfit = binary_divergence(own[..., 5:], other[..., 5:], self.temperature).sum(-1)
            found = found + (worth * misfit).sum()
            objects = objects + worth.sum()
        return found / objects.clamp(min=_LEAST)


def binary_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Gives Kullback and Leibler's divergence of each value as a softened yes or no, times the temperature squared."""
    own, target = student / temperature, teacher.detach() / temperature
    yes = target.sigmoid() * (logsigmoid(target) - logsigmoid(own))
    no = (-target).sigmoid() * (logsigmoid(-target) - logsigmoid(-own))
    return (yes + no) * temperature**2
