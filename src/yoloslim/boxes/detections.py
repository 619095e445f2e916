"""Boxes found in one picture, as one validated value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Detections:
    """Boxes with scores and classes, best first.

    Attributes:
        boxes: shape (N, 4), float32, xyxy, pixels of the picture (or of the network's input where said so).
        scores: shape (N,), float32, 0..1: objectness times class probability.
        class_ids: shape (N,), int64, from 0.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int64]

    def __post_init__(self) -> None:
        count = len(self.scores)
        expected = {"boxes": (count, 4), "scores": (count,), "class_ids": (count,)}
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"Detections.{name}: expected shape {shape}, found {getattr(self, name).shape}")

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Detections:
        """Gives the detections at ``index``, in its order."""
        return Detections(self.boxes[index], self.scores[index], self.class_ids[index])

    @staticmethod
    def empty() -> Detections:
        """Gives no detections."""
        return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
