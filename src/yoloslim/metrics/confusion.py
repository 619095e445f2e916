"""Which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from yoloslim.boxes.annotation import Annotation
from yoloslim.boxes.detections import Detections
from yoloslim.boxes.iou import pairwise_iou
from yoloslim.metrics.matching import NONE, best_first, claimed_truths
from yoloslim.metrics.truth import check_scenes


def confusion_matrix(
    truths: Sequence[Annotation], detections: Sequence[Detections], num_classes: int, at_conf: float
) -> NDArray[np.int64]:
    """Gives how many objects of each class were found as each class, shape (classes + 1, classes + 1).

    Rows are truths, columns detections of at least ``at_conf``; the last row and column are background. Right ones are
    found first, as for precision and recall, so that the diagonal holds these; what is left then claims truths of
    other classes, best first, by an overlap of at least .5. Column sums are the detections of a class, row sums its
    truths. Difficult truths, and what finds them, count neither way.

    Args:
        truths: one a picture.
        detections: one a picture, in the same order and frame.

    Raises:
        DataError: a class id is not below ``num_classes``.
    """
    check_scenes(truths, detections, num_classes)
    matrix = np.zeros((num_classes + 1, num_classes + 1), np.int64)
    for truth, found in zip(truths, detections, strict=True):
        counted = found.take(found.scores >= np.float32(at_conf))
        np.add.at(matrix, _pairs(truth, counted, num_classes), 1)
    return matrix


def _pairs(truth: Annotation, found: Detections, background: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Class of the truth and of the detection of everything that counts in one picture."""
    claims = claimed_truths(truth, found)
    is_free = ~truth.difficult & ~np.isin(np.arange(len(truth)), claims)
    overlap = np.where(is_free & (claims == NONE)[:, None], pairwise_iou(found.boxes, truth.boxes), 0)
    confused = best_first(overlap, found.scores, truth.difficult)
    claims = np.where(claims == NONE, confused, claims)
    is_missed = ~truth.difficult & ~np.isin(np.arange(len(truth)), claims)
    is_counted = ~np.append(truth.difficult, False)[claims]  # the last stands for NONE
    known = np.append(truth.class_ids, background)[claims[is_counted]]
    missed = truth.class_ids[is_missed]
    rows = np.concatenate([known, missed])
    return rows, np.concatenate([found.class_ids[is_counted], np.full(len(missed), background)])
