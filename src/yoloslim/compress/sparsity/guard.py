"""Whether sparse training may go further: a guard on accuracy, and when it has come to its end."""

from __future__ import annotations

from collections.abc import Sequence

RAISE, LOWER = 1.5, 0.5
"""What the strength is multiplied by where the guard holds, and where it is missed by far."""

STILL = 0.01
"""A share that changes by less does not change."""


def next_strength(strength: float, lost: float, guard: float) -> float:
    """Gives the strength of a penalty after a measurement: raised where the guard holds, else held or lowered.

    Args:
        lost: accuracy that was lost so far.
        guard: accuracy that may be lost; up to twice as much holds the strength, more lowers it.
    """
    if lost <= guard:
        return strength * RAISE
    return strength if lost <= 2 * guard else strength * LOWER


def has_converged(prunable: Sequence[float], means: Sequence[float]) -> bool:
    """Tells whether what can be pruned has stopped growing over the given measurements, and gammas moving.

    Args:
        prunable: shares that could be pruned, 0..1, in the order of measurement; nothing has converged before the
            first channel can go.
        means: of ``|gamma|`` at the same times, as shares of their first mean.
    """
    return prunable[-1] > 0 and prunable[-1] - prunable[0] < STILL and means[0] - means[-1] < STILL
