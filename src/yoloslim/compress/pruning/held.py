"""Why a percent removes less than it says."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yoloslim.compress.pruning.methods import Ranking, choose
from yoloslim.errors import PlanError

_SHOWN = 3
_STEP = 0.01  # of the percents that are tried
_NEAR = 0.005  # a share of the removable lanes that may be missing from a percent that works


@dataclass(frozen=True, slots=True)
class Hold:
    """A constraint that put lanes back.

    Attributes:
        reason: the constraint.
        node: the layer that writes these lanes first.
        lanes: how many.
    """

    reason: str
    node: str
    lanes: int


@dataclass(frozen=True, slots=True)
class Shortfall:
    """How far a percent falls short of what it says.

    Attributes:
        asked: lanes that the percent stands for.
        removed: of these, lanes that go.
        holds: the constraints that put most lanes back, the largest first.
        works: the highest percent that removes what it says, to half a percent, rounding aside.
        most: share of the removable lanes that goes at 100 percent.
    """

    asked: int
    removed: int
    holds: tuple[Hold, ...]
    works: float
    most: float


def shortfall(ranking: Ranking, percent: float) -> Shortfall | None:
    """Gives why a percent removes less than it says; None where it does what it says."""
    choice = choose(ranking, percent)
    asked, removed = _removed(ranking, choice.selected), _removed(ranking, choice.rounded)
    if removed >= asked:
        return None
    steps = (
        (f"at least {ranking.settings.min_keep:.0%} of a layer and one channel", choice.selected, choice.floored),
        ("equal parts of a grouped layer", choice.floored, choice.balanced),
        (f"a multiple of {ranking.method.round_to} channels", choice.balanced, choice.rounded),
    )
    held: Counter[tuple[str, str]] = Counter()
    for reason, before, after in steps:
        for lane in np.flatnonzero(after & ~before & ranking.removable):
            held[reason, ranking.writing[ranking.layers[lane]]] += 1
    holds = tuple(Hold(reason, node, count) for (reason, node), count in held.most_common(_SHOWN))
    most = _removed(ranking, choose(ranking, 1.0).rounded) / int(ranking.removable.sum())
    return Shortfall(asked, removed, holds, _highest(ranking, percent), most)


def check_floors(ranking: Ranking, percent: float) -> None:
    """Makes sure that a percent leaves every layer its floor by itself.

    Raises:
        PlanError: it does not; names the first such layer, and the highest whole percent that does.
    """
    held = _held_by_floor(ranking, percent)
    if not len(held):
        return
    node = ranking.writing[ranking.layers[held[0]]]
    tried = (number / 100 for number in range(int(percent * 100), 0, -1))
    works = next((share for share in tried if not len(_held_by_floor(ranking, share))), 0.0)
    least = f"{ranking.settings.min_keep:.0%} of" if ranking.settings.min_keep else "a channel in"
    text = f"percent {percent:g} is too high for this network: it would not leave {least} {node}"
    raise PlanError(f"{text}; the highest percent that works is {works:g}")


def _held_by_floor(ranking: Ranking, percent: float) -> NDArray[np.int64]:
    """Lanes that a percent would remove, and the floor of their layer does not."""
    choice = choose(ranking, percent)
    return np.flatnonzero(choice.floored & ~choice.selected & (ranking.layers >= 0))


def _highest(ranking: Ranking, percent: float) -> float:
    spare = _NEAR * ranking.removable.sum()
    for tried in np.arange(np.floor(percent / _STEP), 0, -1) * _STEP:
        choice = choose(ranking, float(tried))
        if _removed(ranking, choice.selected) - _removed(ranking, choice.balanced) <= spare:
            return round(float(tried), 2)
    return 0.0


def _removed(ranking: Ranking, keep: NDArray[np.bool_]) -> int:
    return int((ranking.removable & ~keep).sum())
