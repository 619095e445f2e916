"""How much the objects of each class count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from yoloslim.errors import RecipeError
from yoloslim.losses.settings import BALANCED, LossSettings


def balanced_weights(counts: Sequence[int]) -> tuple[float, ...]:
    """Gives weights in inverse proportion to the number of objects of each class.

    The mean over all objects is 1, so that the class term keeps its weight. Classes without objects have 1.
    """
    present = sum(count > 0 for count in counts)
    total = sum(counts)
    return tuple(total / (present * count) if count else 1.0 for count in counts)


def with_class_weights(settings: LossSettings, counts: Sequence[int]) -> LossSettings:
    """Gives the settings with ``balanced`` class weights as numbers.

    Args:
        counts: number of training objects of each class.
    """
    if settings.class_weights != BALANCED:
        return settings
    return replace(settings, class_weights=balanced_weights(counts))


def check_class_weights(settings: LossSettings, classes: int) -> None:
    """Makes sure that explicit class weights are as many as classes.

    Raises:
        RecipeError: they are not.
    """
    weights = settings.class_weights
    if weights != BALANCED and len(weights) not in (0, classes):
        raise RecipeError(f"loss class_weights: expected one for each of {classes} classes, found {len(weights)}")
