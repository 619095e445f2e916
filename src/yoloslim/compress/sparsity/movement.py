"""The first steps of a penalty: proof that the gammas move."""

from __future__ import annotations

import logging

from torch import Tensor

from yoloslim.compress.sparsity.penalty import Moved
from yoloslim.errors import RecipeError

_log = logging.getLogger(__name__)

FIRST_STEPS = 10
"""Steps that are looked at."""

GIVEN_BACK = 0.9
"""Share of what the penalty takes that the optimiser may give back without being mentioned."""


class FirstSteps:
    """Looks at the first steps of a penalty after the warm-up's first half, then at no more.

    ``sum(|gamma|)`` falls by what the penalty takes, and by what the optimiser does between two steps of it.

    Args:
        highest: rate of the training; less than half of it says little.
        steps: of the whole training.
    """

    def __init__(self, highest: float, steps: int) -> None:
        self.steps = steps
        self._least = highest / 2
        self._count = min(FIRST_STEPS, steps)
        self._seen = 0
        self._moved = False
        self._sums: tuple[float, float] = (0.0, 0.0)
        self._taken = 0.0

    def look(self, moved: Moved, rate: float, strength: float) -> None:
        """Takes what one step of the penalty moved.

        Raises:
            RecipeError: the penalty has moved nothing in the first steps; says why.
        """
        if self._seen == self._count or rate < self._least or not len(moved.before):
            return
        self._moved |= bool((moved.before != moved.after).any())
        before, after = _total(moved.before), _total(moved.after)
        first = after if self._seen == 0 else self._sums[0]
        self._taken += before - after if self._seen else 0.0
        self._seen, self._sums = self._seen + 1, (first, after)
        if self._seen == self._count:
            self._judge(rate, strength, largest=float(moved.after.abs().max()))

    def _judge(self, rate: float, strength: float, largest: float) -> None:
        if not self._moved:
            raise RecipeError(f"[sparsity] no gamma moves: {_why(rate, strength, largest)}")
        fallen = self._sums[0] - self._sums[1]
        if fallen < (1 - GIVEN_BACK) * self._taken:
            text = f"in {self._count} steps the penalty took {self._taken:.3g} from the sum of gammas"
            _log.warning(
                "%s, and the sum fell by %.3g: training gives it back; watch small_gammas, or raise the strength",
                text,
                fallen,
            )


def _why(rate: float, strength: float, largest: float) -> str:
    if not rate:
        return "the learning rate is 0; set train.learning_rate"
    if not strength:
        return "the strength is 0; give --sparsity a number above 0, or auto"
    least = f"strength {strength:.3g} times the rate {rate:.3g}"
    return f"{least} is less than float32 can take from a gamma of {largest:.3g}; raise the strength"


def _total(gammas: Tensor) -> float:
    return float(gammas.abs().double().sum())
