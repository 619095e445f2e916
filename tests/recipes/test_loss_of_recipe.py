"""The loss of a recipe: what it says itself goes before the cfg's, and that before the defaults."""

from typing import Any

import pytest

from yoloslim.errors import RecipeError
from yoloslim.losses.settings import LossSettings
from yoloslim.recipes.loss import loss_settings
from yoloslim.recipes.read import parse_recipe, parse_train_recipe
from yoloslim.zoo.catalog import find

MINIMAL: dict[str, Any] = {
    "name": "a",
    "model": {"cfg": "yolov4-csp"},
    "data": {"data": "a.yaml"},
    "train": {"epochs": 1},
    "prune": {"percent": 0.5},
}


def test_what_the_recipe_says_goes_before_the_cfg() -> None:
    graph = find("yolov4-csp")  # iou_thresh=0.2, ignore_thresh=.7

    assert loss_settings({}, graph).anchor_threshold == 0.2
    assert loss_settings({"anchor_threshold": 0.213}, graph).anchor_threshold == 0.213
    assert loss_settings({"assignment": "best"}, graph).ignore_threshold == 0.7
    assert loss_settings({"assignment": "best", "ignore_threshold": 1}, graph).ignore_threshold == 1.0
    assert loss_settings({}) == LossSettings()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"iuo": "ciou"}, r"a\.toml: \[loss\] iuo is not a key of a recipe; did you mean iou\?"),
        ({"iou": "eiou"}, r"a\.toml: loss\.iou: expected 'iou', 'giou', 'diou' or 'ciou', found 'eiou'"),
        ({"box": "much"}, r"a\.toml: loss\.box: expected a number, found 'much'"),
        ({"box": -1}, r"a\.toml: loss box: expected 0 to 1e\+06, found -1"),
    ],
)
def test_a_mistake_is_told_before_anything_runs(table: dict[str, Any], message: str) -> None:
    for parse in (parse_recipe, parse_train_recipe):
        with pytest.raises(RecipeError, match=message):
            parse({**MINIMAL, "loss": table}, "a.toml")
