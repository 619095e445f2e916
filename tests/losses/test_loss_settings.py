"""Settings of the loss: their ranges, the ramp of the objectness ratio, weights of classes."""

import math
from dataclasses import replace
from typing import Any

import pytest

from yoloslim.errors import RecipeError
from yoloslim.losses.class_weights import balanced_weights, check_class_weights, with_class_weights
from yoloslim.losses.settings import LossSettings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"box": -1.0}, "loss box: expected 0 to 1e\\+06, found -1"),
        ({"classes": math.nan}, "loss classes: expected 0 to"),
        ({"anchor_threshold": 1.5}, "loss anchor_threshold: expected 0 to 1, found 1.5"),
        ({"ignore_threshold": 0.0}, "loss ignore_threshold: expected 0.01 to 1, found 0"),
        ({"objectness_ratio": 2.0}, "loss objectness_ratio: expected 0 to 1"),
        ({"class_gamma": -1.0}, "loss class_gamma: expected 0 to 10"),
        ({"class_weights": (1.0, -1.0)}, "loss class_weights: expected 0 or more"),
        ({"class_weights": (0.0, 0.0)}, "and one above 0"),
        ({"class_weights": (1.0, math.inf)}, "loss class_weights: expected 0 or more"),
    ],
)
def test_a_value_out_of_its_range_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        LossSettings(**changes)


def test_the_ratio_rises_by_half_a_cosine_and_stays() -> None:
    settings = LossSettings(objectness_ratio=0.8, ratio_ramp=0.5)

    found = [settings.ratio_at(progress) for progress in (0.0, 0.25, 0.5, 1.0)]

    assert found == pytest.approx([0.0, 0.4, 0.8, 0.8])
    assert LossSettings().ratio_at(0.0) == 1.0


def test_balanced_weights_are_inverse_to_the_counts_and_1_in_the_mean_over_objects() -> None:
    counts = (10, 40, 0, 50)

    weights = balanced_weights(counts)

    assert weights[:2] + weights[3:] == pytest.approx([100 / 30, 100 / 120, 100 / 150])
    assert sum(w * n for w, n in zip(weights, counts, strict=True)) == pytest.approx(100)
    assert weights[2] == 1.0


def test_explicit_weights_are_left_as_they_are() -> None:
    settings = LossSettings(class_weights=(1.0, 3.0))

    assert with_class_weights(settings, (10, 90)) == settings
    assert with_class_weights(replace(settings, class_weights="balanced"), (10, 90)).class_weights == (5.0, 5 / 9)


def test_weights_of_another_number_of_classes_are_refused() -> None:
    check_class_weights(LossSettings(class_weights=(1.0, 2.0)), 2)
    check_class_weights(LossSettings(class_weights="balanced"), 3)
    check_class_weights(LossSettings(), 3)
    with pytest.raises(RecipeError, match="expected one for each of 3 classes, found 2"):
        check_class_weights(LossSettings(class_weights=(1.0, 2.0)), 3)
