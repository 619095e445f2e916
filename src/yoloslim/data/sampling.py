"""How often each picture comes in an epoch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yoloslim.data.annotation_table import AnnotationTable
from yoloslim.errors import DataError, RecipeError

DRAW_STREAM = 2  # keeps the generator of draws apart from those of orders and samples
STEPS = 1 << 20  # an offset is one of so many, so that sums with it are exact


@dataclass(frozen=True, slots=True)
class SamplingSettings:
    """How often pictures come in an epoch; by default, each of them once.

    Attributes:
        weights: for each data set, how often its pictures come in an epoch, 0.01 to 100; empty for once each. With
            0.5 it is half of them, another half each time.
        repeat_threshold: a picture that holds a class of which less than this share of the pictures has an object
            comes more often: for the rarest of its classes, of frequency ``f``, ``sqrt(repeat_threshold / f)`` times
            (repeat-factor sampling; Gupta et al., LVIS, 2019, use 0.001). 0 to 1; 0 turns it off.
        background: share of the epoch that is pictures without objects, 0 to 0.95; None for as many as there are.

    Raises:
        RecipeError: a value is out of its range.
    """

    weights: tuple[float, ...] = ()
    repeat_threshold: float = 0.0
    background: float | None = None

    def __post_init__(self) -> None:
        for weight in self.weights:
            _check("weights", weight, 0.01, 100)
        _check("repeat_threshold", self.repeat_threshold, 0, 1)
        _check("background", self.background or 0.0, 0, 0.95)


def _check(name: str, found: float, low: float, high: float) -> None:
    if not low <= found <= high:
        raise RecipeError(f"sampling {name}: expected {low:g} to {high:g}, found {found:g}")


def expected_draws(
    annotations: AnnotationTable, sets: NDArray[np.int64], num_sets: int, settings: SamplingSettings
) -> NDArray[np.float64]:
    """Gives how often each picture comes in an epoch on average, shape (N,).

    Args:
        annotations: what is in the pictures.
        sets: the data set of each picture, shape (N,), from 0.
        num_sets: how many data sets there are.

    Raises:
        RecipeError: there is not one weight a data set.
        DataError: a share of background is asked for, and every picture has objects.
    """
    if settings.weights and len(settings.weights) != num_sets:
        expected = f"one for each of {num_sets} data sets"
        raise RecipeError(f"sampling weights: expected {expected}, found {len(settings.weights)}")
    draws = np.array(settings.weights or (1.0,) * num_sets)[sets]
    if settings.repeat_threshold:
        draws = draws * repeat_factors(annotations, draws, settings.repeat_threshold)
    if settings.background is not None:
        draws = draws * _background_factors(annotations, draws, settings.background)
    return draws


def repeat_factors(annotations: AnnotationTable, draws: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """Gives how many times more often each picture is to come for its rarest class, 1 or more, shape (N,).

    Args:
        annotations: what is in the pictures.
        draws: how often each comes without it, shape (N,); classes are counted as often.
        threshold: share of the pictures below which a class is rare.
    """
    pairs = np.unique(np.stack([annotations.pictures, annotations.class_ids]), axis=1)  # (picture, class), each once
    frequency = np.bincount(pairs[1], weights=draws[pairs[0]]) / draws.sum()
    factors = np.ones(len(annotations))
    np.maximum.at(factors, pairs[0], np.sqrt(threshold / frequency[pairs[1]]))
    return factors


def _background_factors(annotations: AnnotationTable, draws: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    is_background = annotations.counts == 0
    if share and not is_background.any():
        raise DataError(f"sampling background: {share:g} asks for pictures without objects, found none: leave it out")
    wanted = share / (1 - share) * draws[~is_background].sum()
    return np.where(is_background, wanted / max(draws[is_background].sum(), 1e-9), 1.0)


class Draws:
    """Which pictures come in an epoch: a function of seed and epoch alone.

    Every epoch has as many; each picture comes as often as expected, rounded up or down (systematic sampling in random
    order), so that over the epochs the mean is exact.

    Args:
        expected: how often each picture comes on average, shape (N,).
        seed: 0 or more.
    """

    def __init__(self, expected: NDArray[np.float64], seed: int) -> None:
        self._expected = expected * (max(1, round(expected.sum())) / expected.sum())
        self._seed = seed
        self._last: tuple[int, NDArray[np.int64]] = (-1, np.zeros(0, np.int64))

    def __len__(self) -> int:
        """Gives the number of pictures in an epoch."""
        return round(float(self._expected.sum()))

    def of(self, epoch: int) -> NDArray[np.int64]:
        """Gives the pictures of an epoch in rising order, shape (len,); some may come several times."""
        if self._last[0] != epoch:
            self._last = epoch, self._drawn(epoch)
        return self._last[1]

    def _drawn(self, epoch: int) -> NDArray[np.int64]:
        rng = np.random.default_rng((self._seed, DRAW_STREAM, epoch))
        order = rng.permutation(len(self._expected))
        ends = np.cumsum(self._expected[order])
        ends[-1] = len(self)
        reached = np.floor(ends + rng.integers(STEPS) / STEPS).astype(np.int64)
        counts = np.empty_like(reached)
        counts[order] = np.diff(reached, prepend=0)
        return np.repeat(np.arange(len(counts)), counts)
