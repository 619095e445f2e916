"""Which detection found which truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from yoloslim.boxes.annotation import Annotation
from yoloslim.boxes.detections import Detections
from yoloslim.boxes.iou import pairwise_iou

MATCH_IOU = 0.5
"""Least overlap of a detection with the truth that it finds."""

NONE = -1
"""Index of no truth."""


def claimed_truths(truth: Annotation, found: Detections) -> NDArray[np.int64]:
    """Gives the index of the truth that each detection of one picture claims, shape (len(found),), `NONE` for none.

    Detections take best first the unclaimed truth of their class that they overlap most, by at least .5; only where
    there is none a difficult one (as in COCO's evaluation).
    """
    same_class = found.class_ids[:, None] == truth.class_ids
    overlap = np.where(same_class, pairwise_iou(found.boxes, truth.boxes), 0)  # (detections, truths)
    return best_first(overlap, found.scores, truth.difficult)


def best_first(
    overlap: NDArray[np.float64], scores: NDArray[np.float32], difficult: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Gives the truth that each detection claims, shape (detections,), where they choose best first.

    Args:
        overlap: shape (detections, truths); 0 where a pair does not come into question.
        scores: shape (detections,).
        difficult: shape (truths,); these are taken where nothing else is left.
    """
    overlap = overlap.copy()
    claims = np.full(len(scores), NONE)
    order = np.argsort(-scores, kind="stable")
    for index in order[(overlap[order] >= MATCH_IOU).any(axis=1)]:
        rank = np.where(overlap[index] >= MATCH_IOU, overlap[index] - 2 * difficult, -np.inf)
        best = int(np.argmax(rank))
        if np.isfinite(rank[best]):
            claims[index] = best
            overlap[:, best] = 0
    return claims
