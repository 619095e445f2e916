"""From scores to a choice of lanes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from yoloslim.compress.pruning.scores import FloatArray
from yoloslim.graph.lanes import Lanes


def lowest_scored(scores: FloatArray, removable: NDArray[np.bool_], percent: float) -> NDArray[np.bool_]:
    """Gives what stays when the lowest-scored share of all removable lanes goes, whichever layer they are in.

    Args:
        scores: shape (lanes,).
        removable: shape (lanes,), True for lanes that may go; those with an infinite score stay all the same.
        percent: share of the removable lanes to remove, 0..1.

    Returns:
        Shape (lanes,), True for lanes that stay.
    """
    candidates = np.flatnonzero(removable & np.isfinite(scores))
    by_score = candidates[np.argsort(scores[candidates], kind="stable")]
    keep = np.ones(len(scores), dtype=bool)
    keep[by_score[: round(percent * len(candidates))]] = False
    return keep


def with_floor(keep: NDArray[np.bool_], scores: FloatArray, lanes: Lanes, min_keep: float) -> NDArray[np.bool_]:
    """Gives ``keep`` with the best-scored ``min_keep`` share of every layer's channels put back, at least one each."""
    keep = keep.copy()
    for lane in lanes.of.values():
        floor = max(1, round(min_keep * len(lane)))
        if keep[lane].sum() < floor:
            keep[lane[np.argsort(-scores[lane], kind="stable")[:floor]]] = True
    return keep
