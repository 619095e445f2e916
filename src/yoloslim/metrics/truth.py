"""Truths and detections of the same pictures, checked and counted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from yoloslim.boxes.annotation import Annotation
from yoloslim.boxes.detections import Detections
from yoloslim.errors import DataError


def check_scenes(truths: Sequence[Annotation], detections: Sequence[Detections], num_classes: int) -> None:
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


def count_truths(truths: Sequence[Annotation], num_classes: int) -> NDArray[np.int64]:
    """Gives the number of objects of each class that are not difficult, shape (num_classes,)."""
    class_ids = [truth.class_ids[~truth.difficult] for truth in truths]
    return np.bincount(np.concatenate([np.zeros(0, np.int64), *class_ids]), minlength=num_classes)
