"""Inner maps that are to be like the teacher's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from yoloslim.compress.distillation.scene import Scene
from yoloslim.compress.distillation.term import Compared, Reduction
from yoloslim.compress.distillation.terms.soft import soft_divergence

_LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class Attention:
    """Pulls where the student is active to where the teacher is (Zagoruyko & Komodakis, Attention Transfer, 2017).

    Activity is the sum over channels of absolute values, softened over the positions of a picture. In the mean, it is
    in units of its own spread, so that networks of any width compare; the originals compare the sums.
    """

    compares: ClassVar[Compared] = "maps"
    temperature: float = 3.0
    reduction: Reduction = "mean"

    def __call__(self, student: Sequence[Tensor], teacher: Sequence[Tensor], scene: Scene) -> Tensor:
        """Gives a scalar; 0 where both are equal."""
        everywhere = [torch.ones_like(near) for near in scene.near]
        return _attention(student, teacher, everywhere, self.temperature, self.reduction)


@dataclass(frozen=True, slots=True)
class NearAttention:
    """`Attention` with everything silenced that is not near an object (Wang et al., 2019)."""

    compares: ClassVar[Compared] = "maps"
    temperature: float = 3.0
    reduction: Reduction = "mean"

    def __call__(self, student: Sequence[Tensor], teacher: Sequence[Tensor], scene: Scene) -> Tensor:
        """Gives a scalar; 0 where both are equal."""
        return _attention(student, teacher, scene.near, self.temperature, self.reduction)


@dataclass(frozen=True, slots=True)
class ChannelWise:
    """Pulls each channel, softened over the positions of a picture, to the teacher's (CWD; Shu et al., 2021).

    The mean over pictures, channels and pairs.
    """

    compares: ClassVar[Compared] = "channels"
    temperature: float = 4.0

    def __call__(self, student: Sequence[Tensor], teacher: Sequence[Tensor], scene: Scene) -> Tensor:
        """Gives a scalar; 0 where both are equal."""
        pairs = zip(student, teacher, strict=True)
        found = [soft_divergence(own.flatten(2), other.flatten(2), self.temperature).mean() for own, other in pairs]
        return torch.stack(found).mean()


@dataclass(frozen=True, slots=True)
class NearFeatures:
    """Pulls the features of cells near objects to the teacher's (fine-grained imitation; Wang et al., 2019).

    Their squared distance as a share of the teacher's squares there, in the mean over pairs.
    """

    compares: ClassVar[Compared] = "channels"

    def __call__(self, student: Sequence[Tensor], teacher: Sequence[Tensor], scene: Scene) -> Tensor:
        """Gives a scalar; 0 where both are equal."""
        found = []
        for own, other, near in zip(student, teacher, scene.near, strict=True):
            aim, mask = other.detach(), near[:, None]
            found.append(((own - aim).square() * mask).sum() / (aim.square() * mask).sum().clamp(min=_LEAST))
        return torch.stack(found).mean()


def _attention(
    student: Sequence[Tensor],
    teacher: Sequence[Tensor],
    masks: Sequence[Tensor],
    temperature: float,
    reduction: Reduction,
) -> Tensor:
    found = []
    for own, other, mask in zip(student, teacher, masks, strict=True):
        active, aim = (_activity(maps, mask, reduction) for maps in (own, other))
        found.append(soft_divergence(active, aim, temperature).mean())
    total = torch.stack(found)
    return total.mean() if reduction == "mean" else total.sum()


def _activity(maps: Tensor, mask: Tensor, reduction: Reduction) -> Tensor:
    """How active each position is, shape (B, h * w)."""
    sums = maps.abs().sum(1)  # (B, h, w)
    if reduction == "mean":
        sums = sums / maps.shape[1]
        sums = sums / (sums.var((1, 2), correction=0, keepdim=True) + _LEAST).sqrt()
    return (sums * mask).flatten(1)
