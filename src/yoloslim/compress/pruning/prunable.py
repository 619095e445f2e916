"""How much could be pruned now for given losses of accuracy: few looks, shared by all losses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

NEAR = 0.01
"""Shares this near to each other are not told apart."""

_UNSEEN = 0.0005
"""A loss of accuracy that rounds to nothing."""


def prunable_shares(lost: Callable[[float], float], losses: Sequence[float], looks: int) -> tuple[float, ...]:
    """Gives the largest share found for each loss, 0..1.

    Each look goes to the middle of the widest gap that is left between what a loss allows and what it does not.

    Args:
        lost: gives the accuracy lost where a share is pruned; taken to grow with the share, and 0 where nothing is.
        losses: of accuracy that may be lost.
        looks: how often ``lost`` is asked at most.
    """
    known = {0.0: 0.0, 1.0: math.inf}
    for _ in range(looks):
        low, high = max((_gap(known, loss) for loss in losses), key=lambda gap: gap[1] - gap[0])
        if high - low <= NEAR:
            break
        middle = (low + high) / 2
        known[middle] = lost(middle)
    return tuple(_gap(known, loss)[0] for loss in losses)


def _gap(known: Mapping[float, float], loss: float) -> tuple[float, float]:
    """The largest share that a loss allows, of those below the first that it does not, and that one."""
    high = min(share for share, found in known.items() if found > loss + _UNSEEN)
    return max(share for share in known if share < high), high
