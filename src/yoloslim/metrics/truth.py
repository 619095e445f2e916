"""What is really in a picture, as the metrics need it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yoloslim.boxes.detections import Detections
from yoloslim.errors import DataError


@dataclass(frozen=True, slots=True)
class Truth:
    """The objects of one picture.

    Attributes:
        boxes: shape (N, 4), float32, xyxy, pixels of the picture.
        class_ids: shape (N,), int64, from 0.
        difficult: shape (N,), bool; such an object is neither missed nor makes the detection that finds it wrong.
    """

    boxes: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    difficult: NDArray[np.bool_]

    def __post_init__(self) -> None:
        count = len(self.class_ids)
        expected = {"boxes": (count, 4), "class_ids": (count,), "difficult": (count,)}
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"Truth.{name}: expected shape {shape}, found {getattr(self, name).shape}")

    def __len__(self) -> int:
        return len(self.class_ids)

    @staticmethod
    def empty() -> Truth:
        """Gives a picture without objects."""
        return Truth(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.bool_))


def check_scenes(truths: Sequence[Truth], detections: Sequence[Detections], num_classes: int) -> None:
    """Makes sure that truths and detections are of the same pictures and classes.

    Raises:
        DataError: a class id is not below ``num_classes``.
        ValueError: there are not as many detections as truths.
    """
    if len(truths) != len(detections):
        raise ValueError(f"detections: expected {len(truths)} pictures as in truths, found {len(detections)}")
    for what, scenes in (("labels", truths), ("detector", detections)):
        highest = max((int(scene.class_ids.max()) for scene in scenes if len(scene)), default=0)
        if highest >= num_classes:
            raise DataError(
                f"{what}: expected class ids 0 to {num_classes - 1} for {num_classes} classes, found {highest}; "
                "use the data file whose names fit the network"
            )


def count_truths(truths: Sequence[Truth], num_classes: int) -> NDArray[np.int64]:
    """Gives the number of objects of each class that are not difficult, shape (num_classes,)."""
    class_ids = [truth.class_ids[~truth.difficult] for truth in truths]
    return np.bincount(np.concatenate([np.zeros(0, np.int64), *class_ids]), minlength=num_classes)
