"""Precision, recall and F1 at one confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yoloslim.boxes.annotation import Annotation
from yoloslim.boxes.detections import Detections
from yoloslim.metrics.matching import claimed_truths
from yoloslim.metrics.truth import check_scenes, count_truths

_WRONG, _RIGHT, _IGNORED = np.int8(0), np.int8(1), np.int8(2)


@dataclass(frozen=True, slots=True)
class PrecisionRecall:
    """Means over the classes that have truths, at one confidence.

    Attributes:
        precision: share of the detections that are right, 0..1; 0 for a class without detections.
        recall: share of the truths that are found, 0..1.
        f1: mean of the classes' own F1, 0..1.
        at_conf: detections with at least this score count.
    """

    precision: float
    recall: float
    f1: float
    at_conf: float


@dataclass(frozen=True, slots=True)
class _Judged:
    """Detections of classes that have truths, best first, without the ignored ones.

    Attributes:
        scores: shape (N,).
        class_ids: shape (N,).
        right: shape (N,), whether a truth was found.
        truths: shape (classes,), number of truths of each class.
    """

    scores: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    right: NDArray[np.bool_]
    truths: NDArray[np.int64]


def precision_recall(
    truths: Sequence[Annotation], detections: Sequence[Detections], num_classes: int, *, at_conf: float | None = None
) -> PrecisionRecall:
    """Gives precision, recall and F1 at IoU .5.

    In each picture and class, detections take best first the unclaimed truth they overlap most, by at least .5; one
    that takes a difficult truth counts neither way (as in COCO's evaluation).

    Args:
        truths: one a picture.
        detections: one a picture, in the same order and frame.
        num_classes: number of classes.
        at_conf: the confidence, 0..1; the one with the best mean F1 (the highest of equals) when None.

    Raises:
        DataError: a class id is not below ``num_classes``.
    """
    check_scenes(truths, detections, num_classes)
    judged = _judge(truths, detections, num_classes)
    return _measure(judged, _best_confidence(judged) if at_conf is None else at_conf)


def _judge(truths: Sequence[Annotation], detections: Sequence[Detections], num_classes: int) -> _Judged:
    outcomes = [_outcomes(truth, found) for truth, found in zip(truths, detections, strict=True)]
    scores = np.concatenate([np.zeros(0, np.float32), *(found.scores for found in detections)])
    class_ids = np.concatenate([np.zeros(0, np.int64), *(found.class_ids for found in detections)])
    outcome = np.concatenate([np.zeros(0, np.int8), *outcomes])
    counts = count_truths(truths, num_classes)
    counted = np.flatnonzero((outcome != _IGNORED) & (counts[class_ids] > 0))
    order = counted[np.argsort(-scores[counted], kind="stable")]
    return _Judged(scores[order], class_ids[order], outcome[order] == _RIGHT, counts)


def _outcomes(truth: Annotation, found: Detections) -> NDArray[np.int8]:
    """Whether each detection of one picture is right, wrong or ignored, shape (len(found),)."""
    of_truth = np.append(np.where(truth.difficult, _IGNORED, _RIGHT), _WRONG)  # the last stands for NONE
    return of_truth[claimed_truths(truth, found)]


def _best_confidence(judged: _Judged) -> float:
    """The score at which the mean F1 is highest; 0 without detections."""
    if not len(judged.scores):
        return 0.0
    f1 = np.cumsum(_f1_steps(judged)).round(12)  # rounded: the order of adding must not choose among equals
    last_of_equals = np.append(judged.scores[1:] != judged.scores[:-1], True)
    return float(judged.scores[np.argmax(np.where(last_of_equals, f1, -1))])


def _f1_steps(judged: _Judged) -> NDArray[np.float64]:
    """What each detection in turn adds to the F1 of its class, shape (len(scores),)."""
    steps = np.zeros(len(judged.scores))
    for class_id in np.flatnonzero(judged.truths):
        own = np.flatnonzero(judged.class_ids == class_id)
        f1 = 2 * np.cumsum(judged.right[own]) / (np.arange(1, len(own) + 1) + judged.truths[class_id])
        steps[own] = np.diff(f1, prepend=0)
    return steps


def _measure(judged: _Judged, at_conf: float) -> PrecisionRecall:
    present = np.flatnonzero(judged.truths)
    if not len(present):
        return PrecisionRecall(0.0, 0.0, 0.0, at_conf)
    counted = judged.scores >= np.float32(at_conf)
    found = np.bincount(judged.class_ids[counted], minlength=len(judged.truths))[present]
    right = np.bincount(judged.class_ids[counted & judged.right], minlength=len(judged.truths))[present]
    truths = judged.truths[present]
    return PrecisionRecall(
        precision=float((right / np.maximum(found, 1)).mean()),
        recall=float((right / truths).mean()),
        f1=float((2 * right / (found + truths)).mean()),
        at_conf=at_conf,
    )
