"""Anchors for a data set: k-means on box shapes by overlap, then evolution (Redmon & Farhadi, YOLO9000, 2017).

Boxes and anchors are (width, height) in pixels of the network's input, laid on one another at a corner. A data set's
anchors are good when every box overlaps the best of them well: the mean of that overlap is what is made large.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yoloslim.errors import DataError
from yoloslim.zoo.anchors import Anchors

Sizes = NDArray[np.float64]
"""Width and height of boxes or anchors: shape (N, 2), pixels of the network's input, above 0."""

RESTARTS = 20  # of k-means
EVOLVED = 3  # of the best of them
MAX_ROUNDS = 200  # of one k-means; it stands still long before
GENERATIONS = 1500
SPREAD, MIN_SPREAD = 0.1, 0.002  # of mutations, as a share of a side
MAX_BOXES = 10_000  # that the search looks at; the figures are always of all
DECIMALS = 1  # of an anchor's sides

RECALL_IOU = 0.5
RECALL_RATIO = 4.0


@dataclass(frozen=True, slots=True)
class AnchorFit:
    """How well anchors fit the boxes of a data set; every figure is from 0 to 1.

    Attributes:
        mean_iou: overlap of a box with its best anchor, mean over the boxes.
        recall_iou: share of the boxes whose best anchor overlaps them by `RECALL_IOU` or more.
        recall_ratio: share of the boxes for which an anchor's width and height both differ by less than a factor of
            `RECALL_RATIO`.
    """

    mean_iou: float
    recall_iou: float
    recall_ratio: float


def shape_iou(anchors: Sizes, sizes: Sizes) -> NDArray[np.float64]:
    """Gives the overlap of every anchor with every box laid at the same corner, shape (K, N), 0..1."""
    shared = np.minimum(anchors[:, None, 0], sizes[:, 0]) * np.minimum(anchors[:, None, 1], sizes[:, 1])
    overlap: NDArray[np.float64] = shared / (anchors.prod(1)[:, None] + sizes.prod(1) - shared)
    return overlap


def fit_of(sizes: Sizes, anchors: Anchors) -> AnchorFit:
    """Gives how well ``anchors`` fit boxes of these sizes."""
    best = shape_iou(np.array(anchors), sizes).max(0)
    factors = np.array(anchors) / sizes[:, None]  # (N, K, 2)
    with np.errstate(divide="ignore"):  # an anchor of width 0, as some cfgs have
        within = (np.maximum(factors, 1 / factors).max(2) < RECALL_RATIO).any(1)
    return AnchorFit(float(best.mean()), float((best >= RECALL_IOU).mean()), float(within.mean()))


def find_anchors(sizes: Sizes, count: int, seed: int = 0) -> Anchors:
    """Gives ``count`` anchors for boxes of these sizes, from the smallest to the largest area.

    Raises:
        DataError: the boxes have fewer than ``count`` different shapes.
    """
    distinct = len(np.unique(sizes.round(DECIMALS), axis=0))
    if distinct < count:
        raise DataError(
            f"expected boxes of at least {count} different shapes for {count} anchors, "
            f"found {distinct} among {len(sizes)} boxes: take fewer anchors, or more pictures"
        )
    rng = np.random.default_rng(seed)
    searched = rng.choice(sizes, MAX_BOXES, replace=False) if len(sizes) > MAX_BOXES else sizes
    found = [_k_means(searched, _spread_out(searched, count, rng)) for _ in range(RESTARTS)]
    found.sort(key=lambda anchors: _mean_iou(searched, anchors), reverse=True)
    evolved = [_evolved(searched, anchors, rng) for anchors in found[:EVOLVED]]
    best = max(evolved, key=lambda anchors: _mean_iou(searched, anchors))
    rounded = np.maximum(best.round(DECIMALS), 10.0**-DECIMALS)
    return tuple((float(width), float(height)) for width, height in rounded[np.argsort(rounded.prod(1))])


def _mean_iou(sizes: Sizes, anchors: Sizes) -> float:
    return float(shape_iou(anchors, sizes).max(0).mean())


def _spread_out(sizes: Sizes, count: int, rng: np.random.Generator) -> Sizes:
    """Gives ``count`` boxes to start from, each likelier the less those before it overlap it (k-means++)."""
    chosen = sizes[rng.integers(len(sizes), size=1)]
    while len(chosen) < count:
        distance = 1 - shape_iou(chosen, sizes).max(0)
        weight = distance**2 + 1e-12
        chosen = np.concatenate([chosen, rng.choice(sizes, 1, p=weight / weight.sum())])
    return chosen


def _k_means(sizes: Sizes, anchors: Sizes) -> Sizes:
    """Gives the medians of the boxes that each anchor overlaps most, once no box goes to another any more.

    Medians, because a mean follows the few large boxes: on four real sets they overlap better by .002 to .03.
    """
    before = np.full(len(sizes), -1)
    for _ in range(MAX_ROUNDS):
        nearest = shape_iou(anchors, sizes).argmax(0)
        if (nearest == before).all():
            break
        before = nearest
        groups = [sizes[nearest == index] for index in range(len(anchors))]
        anchors = np.array([np.median(g, axis=0) if len(g) else old for g, old in zip(groups, anchors, strict=True)])
    return anchors


def _evolved(sizes: Sizes, anchors: Sizes, rng: np.random.Generator) -> Sizes:
    """Gives better anchors: one at a time is changed a little, and stays so where the boxes overlap more.

    The changes become larger while they succeed and smaller while they do not (the one-fifth rule, Rechenberg, 1973).
    """
    overlap, spread = shape_iou(anchors, sizes), SPREAD
    best = overlap.max(0).mean()
    for _ in range(GENERATIONS):
        index = rng.integers(len(anchors))
        changed = anchors[index] * np.exp(rng.normal(0, spread, 2))
        row = shape_iou(changed[None], sizes)[0]
        others = np.delete(overlap, index, axis=0).max(0, initial=0)
        found = np.maximum(others, row).mean()
        if found > best:
            best = found
            anchors, overlap = anchors.copy(), overlap.copy()
            anchors[index], overlap[index] = changed, row
        spread = max(MIN_SPREAD, spread * (1.5 if found >= best else 0.9))
    return anchors
