"""From what calibration saw to a range: minimum and maximum, or a narrower one that costs less.

Beyond the range values saturate; within it, codes lie closer the narrower it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yoloslim.compress.quantization.codes import from_codes, grid_of, to_codes
from yoloslim.compress.quantization.spec import MAX_BITS, QuantSpec
from yoloslim.compress.quantization.statistics import BINS, Statistics
from yoloslim.compress.quantization.weight_ranges import NARROWINGS
from yoloslim.nn.layers.activation import FUNCTIONS

Name = Literal["auto", "min-max", "moving-average", "percentile", "entropy", "mse"]


class Range(NamedTuple):
    """Smallest and largest value that codes must hold."""

    low: float
    high: float


Observer = Callable[[Statistics, QuantSpec], Range]

KEPT_SHARE = 0.9999
"""Of the values, inside a percentile range."""

_LOW_ENDS = np.concatenate([NARROWINGS, np.linspace(0.18, 0.0, 10)])  # almost none, before a leaky ReLU
_ROUNDS = 3  # of narrowing one end, then the other
_ENTROPY_STEPS = 64
_ENTROPY_BINS = 2048


def by_bits(seen: Statistics, spec: QuantSpec) -> Range:
    """Gives the percentile range where there are enough codes for it, else that with the least squared error.

    There are never enough for sums before an activation that makes some of them small.
    """
    is_plain = spec.bits >= MAX_BITS and seen.activation == "linear"
    return percentile(seen, spec) if is_plain else mse(seen, spec)


def min_max(seen: Statistics, spec: QuantSpec) -> Range:
    """Gives the whole range."""
    return Range(seen.low, seen.high)


def moving_average(seen: Statistics, spec: QuantSpec) -> Range:
    """Gives the moving average of the extremes of each batch (Jacob et al., 2018)."""
    return Range(seen.mean_low, seen.mean_high)


def percentile(seen: Statistics, spec: QuantSpec) -> Range:
    """Gives the range that leaves out an equal share of the values at each end, ``KEPT_SHARE`` inside."""
    shares = np.cumsum(seen.counts) / max(1.0, seen.counts.sum())
    outside = (1 - KEPT_SHARE) / 2
    first, last = (int(np.searchsorted(shares, share)) for share in (outside, 1 - outside))
    width = (seen.high - seen.low) / BINS
    return Range(seen.low + first * width, seen.low + min(last + 1, BINS) * width)


def mse(seen: Statistics, spec: QuantSpec) -> Range:
    """Gives the range with the least squared error, behind the activation where there is one.

    One end at a time is narrowed, in turn, over the histogram. What an activation makes small may saturate early:
    before a leaky ReLU, codes are for the positive values.
    """
    error = partial(squared_error, seen, spec)
    low, high = seen.low, seen.high
    for _ in range(_ROUNDS):
        low = min((seen.low * share for share in _LOW_ENDS), key=lambda end: error(Range(end, high)))
        high = min((seen.high * share for share in NARROWINGS), key=lambda end: error(Range(low, end)))
    return Range(low, high)


def squared_error(seen: Statistics, spec: QuantSpec, ends: Range) -> float:
    """Gives the sum of squared errors of all values, with codes for a range, behind the activation."""
    centres, counts = torch.from_numpy(seen.centres).float(), torch.from_numpy(seen.counts)
    grid = grid_of(torch.tensor(ends.low), torch.tensor(ends.high), spec)
    found = from_codes(to_codes(centres, grid, spec), grid, spec)
    exact, activated = (_activated(seen.activation, values) for values in (centres, found))
    return float(((activated - exact).square() * counts).sum())


def _activated(activation: str, values: Tensor) -> Tensor:
    return FUNCTIONS[activation](values.view(1, 1, 1, -1)).flatten().double()


def entropy(seen: Statistics, spec: QuantSpec) -> Range:
    """Gives the range whose codes tell least less than the values: smallest Kullback-Leibler divergence.

    The range is narrowed in proportion (Migacz, 8-bit inference with TensorRT, 2017); values outside count at its ends.
    """
    coarse = (_ENTROPY_BINS, -1)
    centres = seen.centres.reshape(coarse).mean(1)
    counts = seen.counts.reshape(coarse).sum(1) / max(1.0, seen.counts.sum())
    shares = np.linspace(1.0, 0.1, _ENTROPY_STEPS)
    return min(
        (Range(seen.low * share, seen.high * share) for share in shares),
        key=lambda ends: _divergence(centres, counts, ends, spec),
    )


def _divergence(centres: NDArray[np.float64], counts: NDArray[np.float64], ends: Range, spec: QuantSpec) -> float:
    """How much less the codes for a range tell than the values, which count at its ends where they are outside."""
    inside = (centres >= ends.low) & (centres <= ends.high)
    grid = grid_of(torch.tensor(ends.low), torch.tensor(ends.high), spec)
    codes = to_codes(torch.from_numpy(centres).float(), grid, spec).numpy().astype(np.int64) - spec.low
    kept = np.where(inside, counts, 0.0)
    size = spec.high - spec.low + 1
    masses, parts = np.bincount(codes, kept, size), np.bincount(codes, kept > 0, size)
    coded = np.where(kept > 0, masses[codes] / np.maximum(1, parts[codes]), 0.0)
    _add_outside(kept, counts, inside)
    used = (kept > 0) & (coded > 0)
    total = coded.sum()
    return float(np.sum(kept[used] * np.log(kept[used] * total / coded[used]))) if total else float("inf")


def _add_outside(kept: NDArray[np.float64], counts: NDArray[np.float64], inside: NDArray[np.bool_]) -> None:
    """Adds the values outside to the outermost parts inside that have any, in place."""
    used, places = np.flatnonzero(kept), np.flatnonzero(inside)
    if len(used):
        kept[used[0]] += counts[: places[0]].sum()
        kept[used[-1]] += counts[places[-1] + 1 :].sum()


OBSERVERS: Mapping[Name, Observer] = {
    "auto": by_bits,
    "min-max": min_max,
    "moving-average": moving_average,
    "percentile": percentile,
    "entropy": entropy,
    "mse": mse,
}
"""By the name that ``--observer`` takes."""
