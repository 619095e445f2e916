"""How the strength of a penalty differs between layers and over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

FULL = 0.5
"""Share of a training over which a decaying penalty keeps its whole strength."""


def _equal_shares(means: Sequence[float]) -> Sequence[float]:
    return [1.0] * len(means)


def shares_by_mean(means: Sequence[float]) -> Sequence[float]:
    """Gives each layer's share of the strength: its mean gamma over the mean of all layers.

    Gammas of different layers then come to 0 at the same time, whatever the scale of their layer.

    Args:
        means: of ``|gamma|`` of each layer.
    """
    whole = sum(means)
    return [len(means) * mean / whole for mean in means] if whole else _equal_shares(means)


def falling(progress: float) -> float:
    """Gives what is left of a decaying strength, 0..1: all in the first half, then along a line to nothing."""
    return min(1.0, (1 - progress) / (1 - FULL))


@dataclass(frozen=True, slots=True)
class Schedule:
    """How the strength of a penalty differs.

    Attributes:
        shares: gives each layer's share of the strength, from the mean ``|gamma|`` of each at the start.
        left: gives what is left of the strength at a share of the training, 0..1, for gammas that are not small.
    """

    shares: Callable[[Sequence[float]], Sequence[float]] = _equal_shares
    left: Callable[[float], float] = lambda progress: 1.0


CONSTANT = Schedule()

SCHEDULES: Mapping[str, Schedule] = {
    "constant": CONSTANT,
    "decay": Schedule(left=falling),
    "per-layer": Schedule(shares=shares_by_mean),
}
"""Schedules by name."""
