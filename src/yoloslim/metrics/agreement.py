"""How far two detectors see the same in a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yoloslim.boxes.detections import Detections
from yoloslim.boxes.iou import pairwise_iou
from yoloslim.metrics.matching import NONE, best_first


@dataclass(frozen=True, slots=True)
class Agreement:
    """Detections of two detectors in one picture, matched.

    Attributes:
        first: number of those of the first detector.
        second: of the second.
        score_changes: shape (matched,): score of the second less that of the first, for each pair.
    """

    first: int
    second: int
    score_changes: NDArray[np.float64]

    @property
    def matched(self) -> int:
        """The number of objects that both found."""
        return len(self.score_changes)


def agreement(first: Detections, second: Detections) -> Agreement:
    """Gives which detections of two detectors are of the same object: of one class, and overlapping by at least .5.

    The first detector's choose best first the one that they overlap most, and each is chosen once.
    """
    same_class = first.class_ids[:, None] == second.class_ids
    overlap = np.where(same_class, pairwise_iou(first.boxes, second.boxes), 0)  # (first, second)
    claims = best_first(overlap, first.scores, np.zeros(len(second), bool))
    found = claims != NONE
    changes = second.scores[claims[found]].astype(np.float64) - first.scores[found]
    return Agreement(len(first), len(second), changes)
