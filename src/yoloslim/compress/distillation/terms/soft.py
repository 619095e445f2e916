"""Softened outputs: softmax over the values of one box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from yoloslim.compress.distillation.scene import Scene
from yoloslim.compress.distillation.term import Compared, Reduction

_SCORES = slice(4, None)


@dataclass(frozen=True, slots=True)
class SoftOutputs:
    """Pulls the whole softened vector of each box, coordinates included, to the teacher's (Hinton et al., 2015).

    The mean over all anchors of all cells; the originals' sum over them for each picture.
    """

    compares: ClassVar[Compared] = "heads"
    temperature: float = 3.0
    reduction: Reduction = "mean"

    def __call__(self, student: Sequence[Tensor], teacher: Sequence[Tensor], scene: Scene) -> Tensor:
        """Gives a scalar; 0 where both are equal."""
        return _reduced(_rows(student), _rows(teacher), self.temperature, self.reduction, len(student[0]))


@dataclass(frozen=True, slots=True)
class SoftScores:
    """Pulls the softened vector of objectness and classes of each box to the teacher's (Hinton et al., 2015).

    Objectness is among them because the softmax of a single class would have no gradient. Reduced as `SoftOutputs`.
    """

    compares: ClassVar[Compared] = "heads"
    temperature: float = 3.0
    reduction: Reduction = "mean"

    def __call__(self, student: Sequence[Tensor], teacher: Sequence[Tensor], scene: Scene) -> Tensor:
        """Gives a scalar; 0 where both are equal."""
        own, other = (_rows([head[..., _SCORES] for head in heads]) for heads in (student, teacher))
        return _reduced(own, other, self.temperature, self.reduction, len(student[0]))


def soft_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Gives Kullback and Leibler's divergence of the last axis, softened, shape (...), times the temperature squared.

    That factor keeps the gradient's size whatever the temperature (Hinton et al., 2015).
    """
    own = (student / temperature).log_softmax(-1)
    target = (teacher.detach() / temperature).log_softmax(-1)
    return (target.exp() * (target - own)).sum(-1) * temperature**2


def _rows(heads: Sequence[Tensor]) -> Tensor:
    return torch.cat([head.reshape(-1, head.shape[-1]) for head in heads])  # (boxes of all heads, values)


def _reduced(own: Tensor, other: Tensor, temperature: float, reduction: Reduction, pictures: int) -> Tensor:
    found = soft_divergence(own, other, temperature)
    return found.mean() if reduction == "mean" else found.sum() / pictures
