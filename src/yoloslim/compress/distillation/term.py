"""What a distillation term is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from torch import Tensor

from yoloslim.compress.distillation.scene import Scene

Compared = Literal["heads", "maps", "channels"]
"""What a term taps: head maps, or the maps before them, as they are or with comparable channels."""

Reduction = Literal["mean", "originals"]
"""A mean that depends on neither batch nor size, or the sums of the PyTorch port of 2020."""


class Term(Protocol):
    """One thing in which the student is to be like the teacher."""

    @property
    def compares(self) -> Compared:
        """Which nodes it taps."""

    def __call__(self, student: Sequence[Tensor], teacher: Sequence[Tensor], scene: Scene) -> Tensor:
        """Gives a scalar, with gradients for the student alone.

        Args:
            student: one tensor a pair of heads, float32.
            teacher: likewise, of the same shapes but for the channels of ``maps``.
            scene: objects and cells, one entry a pair of heads.
        """
