"""One box for each object: greedy non-maximum suppression within each class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from yoloslim.boxes.detections import Detections
from yoloslim.boxes.iou import pairwise_iou

_BLOCK = 128  # candidates compared at once: enough for numpy to be fast, few enough to stop soon after the limit
_LEADING = 4096  # candidates looked at first: an untrained network gives a million, and sorting them all takes longest


def suppress(detections: Detections, iou: float, limit: int, groups: NDArray[np.int64] | None = None) -> Detections:
    """Gives the detections that no better one of the same class overlaps by more than ``iou``.

    Candidates are taken best first in blocks, each compared with what is kept already, so the work ends at the limit.

    Args:
        detections: candidates in any order; of equal scores the earlier one is the better.
        iou: largest intersection over union that two detections of a class may have, 0..1.
        limit: largest number of detections to give, over all classes.
        groups: shape (N,), what stands for the class of each; its class when None.

    Returns:
        The kept detections, best first.
    """
    groups = detections.class_ids if groups is None else groups
    leading = _leading(detections.scores, _LEADING)
    kept = _kept(detections.take(leading), groups[leading], iou, limit)
    if len(kept) == limit or leading.all():
        return kept
    return _kept(detections, groups, iou, limit)


def _leading(scores: NDArray[np.float32], count: int) -> NDArray[np.bool_]:
    """Which are the ``count`` best or equal the last of these."""
    if len(scores) <= count:
        return np.ones(len(scores), bool)
    leading: NDArray[np.bool_] = scores >= np.partition(scores, -count)[-count]
    return leading


def _kept(detections: Detections, groups: NDArray[np.int64], iou: float, limit: int) -> Detections:
    order = np.argsort(-detections.scores, kind="stable")
    ranked, groups = detections.take(order), groups[order]
    kept = np.zeros(0, np.int64)
    for start in range(0, len(ranked), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(ranked)))
        block = block[~_clashes(ranked, groups, block, kept, iou).any(axis=1)]
        kept = np.concatenate([kept, block[_greedy(_clashes(ranked, groups, block, block, iou))]])
        if len(kept) >= limit:
            break
    return ranked.take(kept[:limit])


def _clashes(
    ranked: Detections, groups: NDArray[np.int64], a: NDArray[np.int64], b: NDArray[np.int64], iou: float
) -> NDArray[np.bool_]:
    """Which of the detections at ``a`` and ``b`` may not both stay, shape (len(a), len(b))."""
    same_group = groups[a][:, None] == groups[b]
    clashes: NDArray[np.bool_] = same_group & (pairwise_iou(ranked.boxes[a], ranked.boxes[b]) > iou)
    return clashes


def _greedy(clashes: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of n candidates stay when each in turn removes the later ones that it clashes with."""
    stays = np.ones(len(clashes), bool)
    for index in np.flatnonzero(np.triu(clashes, 1).any(axis=1)):
        if stays[index]:
            stays[index + 1 :] &= ~clashes[index, index + 1 :]
    return stays
