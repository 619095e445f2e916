"""Channels put back until grouped layers have equal parts and counts are multiples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from yoloslim.compress.pruning.scores import FloatArray
from yoloslim.graph.lanes import Lane, Lanes


def put_back(
    keep: NDArray[np.bool_], scores: FloatArray, lanes: Lanes, writing: tuple[str, ...] = (), multiple: int = 1
) -> NDArray[np.bool_]:
    """Gives the smallest growth of ``keep`` found by only ever putting back the best-scored removed channels.

    Afterwards the parts of every balanced set keep equally many channels, and every node in ``writing`` a multiple of
    ``multiple`` (or all it has). It ends because lanes are only added and keeping all of them satisfies everything.

    Args:
        keep: shape (lanes,), True for lanes that stay.
        scores: shape (lanes,).
    """
    keep = keep.copy()
    while True:
        before = int(keep.sum())
        for lane, wanted in _demands(keep, lanes, writing, multiple):
            _restore(keep, scores, lane, wanted)
        if int(keep.sum()) == before:
            return keep


def _demands(
    keep: NDArray[np.bool_], lanes: Lanes, writing: tuple[str, ...], multiple: int
) -> Iterator[tuple[Lane, int]]:
    for parts in lanes.balanced:
        most = max(int(keep[part].sum()) for part in parts)
        yield from ((part, most) for part in parts)
    if multiple > 1:
        for name in writing:
            lane = lanes.of[name]
            kept = int(keep[lane].sum())
            yield lane, min(len(lane), -(-kept // multiple) * multiple)


def _restore(keep: NDArray[np.bool_], scores: FloatArray, lane: Lane, wanted: int) -> None:
    missing = wanted - int(keep[lane].sum())
    if missing > 0:
        removed = np.unique(lane[~keep[lane]])
        keep[removed[np.argsort(-scores[removed], kind="stable")[:missing]]] = True
