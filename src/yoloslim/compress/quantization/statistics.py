"""What calibration sees of the values of a tensor: extremes and a histogram, over all pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yoloslim.compress.quantization.fake_quantizer import RANGE_MOMENTUM

BINS = 8192
"""Parts of a histogram: several a code, also where a range is narrowed to a fifth."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """The values of one tensor over the calibration pictures.

    Attributes:
        low: the smallest.
        high: the largest.
        mean_low: moving average of the smallest of each batch.
        mean_high: the same of the largest.
        counts: values in each of ``BINS`` equal parts from ``low`` to ``high``, shape (BINS,); 0 where not asked for.
        activation: name of what is computed of the codes, where the tensor is the sum before an activation.
    """

    low: float
    high: float
    mean_low: float
    mean_high: float
    counts: NDArray[np.float64]
    activation: str = "linear"

    @property
    def centres(self) -> NDArray[np.float64]:
        """The middle of each part, shape (BINS,)."""
        width = (self.high - self.low) / BINS
        return np.asarray(self.low + (np.arange(BINS) + 0.5) * width, np.float64)


class Extremes:
    """Follows the smallest and the largest value; the first pass over the pictures."""

    def __init__(self) -> None:
        self.low, self.high = float("inf"), float("-inf")
        self.mean_low = self.mean_high = float("nan")

    def add(self, x: Tensor) -> None:
        """Takes the values of one batch."""
        low, high = float(x.amin()), float(x.amax())
        is_first = self.low > self.high
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.mean_low = low if is_first else self.mean_low + RANGE_MOMENTUM * (low - self.mean_low)
        self.mean_high = high if is_first else self.mean_high + RANGE_MOMENTUM * (high - self.mean_high)


class Histogram:
    """Counts values between known extremes; the second pass."""

    def __init__(self, extremes: Extremes) -> None:
        self.extremes = extremes
        self.counts = torch.zeros(BINS, dtype=torch.float64)

    def add(self, x: Tensor) -> None:
        """Takes the values of one batch."""
        low, high = self.extremes.low, self.extremes.high
        if low < high:
            self.counts += torch.histc(x.float().cpu(), BINS, low, high)

    def statistics(self, activation: str) -> Statistics:
        """Gives what was seen."""
        seen = self.extremes
        return Statistics(seen.low, seen.high, seen.mean_low, seen.mean_high, self.counts.numpy(), activation)
