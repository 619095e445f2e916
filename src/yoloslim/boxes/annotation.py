"""What is really in one picture, as one validated value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Annotation:
    """The true objects of one picture.

    Attributes:
        boxes: shape (N, 4), float32, xyxy, pixels of the picture; as written, not clipped to it.
        class_ids: shape (N,), int64, from 0.
        difficult: shape (N,), bool; such an object is neither missed nor makes the detection that finds it wrong, and
            is not trained on (Pascal VOC).
        unlabelled: ids of classes that nobody looked for in this picture, because its data set does not label them:
            that there is no box of such a class says nothing.
    """

    boxes: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    difficult: NDArray[np.bool_]
    unlabelled: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        count = len(self.boxes)
        expected = {"boxes": (count, 4), "class_ids": (count,), "difficult": (count,)}
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"Annotation.{name}: expected shape {shape}, found {getattr(self, name).shape}")

    def __len__(self) -> int:
        return len(self.boxes)

    @staticmethod
    def empty() -> Annotation:
        """Gives a picture without objects."""
        return Annotation(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.bool_))

    def of_classes(self, kept: Sequence[int]) -> Annotation:
        """Gives the objects of these classes alone, with their places in ``kept`` as new class ids."""
        places = np.array(kept, np.int64)
        chosen = np.isin(self.class_ids, places)
        class_ids = (self.class_ids[chosen][:, None] == places).argmax(1)
        return Annotation(self.boxes[chosen], class_ids, self.difficult[chosen])
