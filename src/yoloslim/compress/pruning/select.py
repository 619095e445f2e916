"""From scores to a choice of lanes.

Every selection gives what stays, shape (lanes,), when a share of the removable lanes goes. Arguments that they share:

    scores      shape (lanes,)
    removable   shape (lanes,), True for lanes that may go; those with an infinite score stay all the same
    percent     share of the removable lanes to remove, 0..1
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from yoloslim.compress.pruning.scores import FloatArray
from yoloslim.graph.lanes import Lane, Lanes


def lowest_scored(scores: FloatArray, removable: NDArray[np.bool_], percent: float) -> NDArray[np.bool_]:
    """Gives what stays when the lowest-scored lanes go, whichever layer they are in."""
    return _without_lowest(scores, removable, np.zeros(len(scores), dtype=np.int64), np.array([percent]))


def lowest_of_layers(
    scores: FloatArray, removable: NDArray[np.bool_], layers: Lane, percent: float
) -> NDArray[np.bool_]:
    """Gives what stays when every layer loses the same share, its lowest-scored lanes.

    Args:
        layers: the layer that each lane counts for, shape (lanes,).
    """
    return _without_lowest(scores, removable, layers, np.full(layers.max(initial=0) + 1, percent))


def random_of_layers(
    scores: FloatArray, removable: NDArray[np.bool_], layers: Lane, percent: float, seed: int
) -> NDArray[np.bool_]:
    """Gives what stays when every layer loses a share drawn at random, its lowest-scored lanes (Li et al., EagleEye).

    A share is ``u ** ((1 - percent) / percent)`` for ``u`` uniform in 0..1: its mean is ``percent``, and for the same
    seed every layer's share grows with it, so that a budget can be searched.

    Args:
        layers: the layer that each lane counts for, shape (lanes,).
    """
    drawn = np.random.default_rng(seed).random(layers.max(initial=0) + 1)
    shares = drawn ** ((1 - percent) / percent) if percent > 0 else np.zeros_like(drawn)
    return _without_lowest(scores, removable, layers, shares)


def below_percentile(
    scores: FloatArray, removable: NDArray[np.bool_], channels: FloatArray, percent: float
) -> NDArray[np.bool_]:
    """Gives what stays when lanes go that score less than this percentile of all channels that write removable lanes.

    So the originals count: a lane that several layers write counts once for each of them.

    Args:
        channels: scores of those channels, in any order.
    """
    place = round(percent * len(channels))
    limit = np.sort(channels)[place] if place < len(channels) else np.inf
    return ~(removable & np.isfinite(scores) & (scores < limit))


def with_floor(keep: NDArray[np.bool_], scores: FloatArray, lanes: Lanes, min_keep: float) -> NDArray[np.bool_]:
    """Gives ``keep`` with the best-scored ``min_keep`` share of every layer's channels put back, at least one each."""
    keep = keep.copy()
    for lane in lanes.of.values():
        floor = max(1, round(min_keep * len(lane)))
        if keep[lane].sum() < floor:
            keep[lane[np.argsort(-scores[lane], kind="stable")[:floor]]] = True
    return keep


def _without_lowest(
    scores: FloatArray, removable: NDArray[np.bool_], groups: Lane, shares: FloatArray
) -> NDArray[np.bool_]:
    """What stays when of each group ``g`` of lanes the lowest-scored ``shares[g]`` go."""
    candidates = np.flatnonzero(removable & np.isfinite(scores) & (groups >= 0))
    by_score = candidates[np.argsort(scores[candidates], kind="stable")]
    keep = np.ones(len(scores), dtype=bool)
    for group, share in enumerate(shares):
        members = by_score[groups[by_score] == group]
        keep[members[: round(share * len(members))]] = False
    return keep
