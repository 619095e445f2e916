"""From scores of channels to scores of lanes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from yoloslim.compress.pruning.scores import ChannelScores, FloatArray
from yoloslim.graph.lanes import Lane, Lanes

Normalize = Literal["none", "layer"]
Reduction = Literal["max", "min", "mean", "first"]


def normalized(channels: ChannelScores, normalize: Normalize) -> ChannelScores:
    """Gives scores that compare between layers: raw (``none``), or as shares of the layer's mean (``layer``).

    With ``layer`` every layer loses about the same share, those that sparse training has emptied included.
    """
    if normalize == "none":
        return channels
    return {name: values / mean if (mean := values.mean()) > 0 else values for name, values in channels.items()}


def lane_scores(
    channels: ChannelScores, lanes: Lanes, writing: tuple[str, ...], reduction: Reduction = "max"
) -> FloatArray:
    """Gives the score of each lane, from the channels that write it.

    Lanes with a writer that has no scores get infinity: nothing is known about them, so they stay.

    Args:
        writing: nodes that write lanes, in the order of the network.
        reduction: ``max``: a lane shared through shortcuts is only free when no writer needs it; ``min``: when any does
            not; ``mean`` of its writers; ``first``: that of its first writer.

    Returns:
        Shape (lanes.count,); 0 for lanes that nothing writes.
    """
    scored = [name for name in writing if name in channels]
    scores = np.zeros(lanes.count)
    if scored:
        written = np.concatenate([lanes.of[name] for name in scored])
        _REDUCERS[reduction](scores, written, np.concatenate([channels[name] for name in scored]))
    for name in writing:
        if name not in channels:
            scores[lanes.of[name]] = np.inf
    return scores


def first_writers(lanes: Lanes, writing: tuple[str, ...]) -> NDArray[np.int64]:
    """Gives the place in ``writing`` of the first node that writes each lane, shape (lanes.count,); -1 for none."""
    first = np.full(lanes.count, -1, dtype=np.int64)
    for place in reversed(range(len(writing))):
        first[lanes.of[writing[place]]] = place
    return first


def _largest(scores: FloatArray, written: Lane, values: FloatArray) -> None:
    np.maximum.at(scores, written, values)


def _smallest(scores: FloatArray, written: Lane, values: FloatArray) -> None:
    scores[written] = np.inf
    np.minimum.at(scores, written, values)


def _mean(scores: FloatArray, written: Lane, values: FloatArray) -> None:
    np.add.at(scores, written, values)
    scores /= np.maximum(np.bincount(written, minlength=len(scores)), 1)


def _first(scores: FloatArray, written: Lane, values: FloatArray) -> None:
    scores[written[::-1]] = values[::-1]


_REDUCERS: Mapping[Reduction, Callable[[FloatArray, Lane, FloatArray], None]] = {
    "max": _largest,
    "min": _smallest,
    "mean": _mean,
    "first": _first,
}
"""Each fills ``scores``, shape (lanes,), which are 0, from the score that each channel gives to the lane it writes."""
