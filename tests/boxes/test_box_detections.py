from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from yoloslim.boxes.detect import DetectSettings, detections_of
from yoloslim.boxes.placement import Placement
from yoloslim.errors import RecipeError
from yoloslim.graph.ops import Yolo

COARSE = Yolo(mask=(1,), anchors=((8.0, 8.0), (32.0, 32.0)), classes=2)
FINE = replace(COARSE, mask=(0,))
LETTERBOX = Placement(0.5, 0.5, left=0, top=16, width=128, height=64)


def head_map(side: int, objects: dict[tuple[int, int], float]) -> np.ndarray:
    """Class 0 with these logits at (row, column), boxes of the anchor's size in the middle of the cell."""
    raw = np.full((1, side, side, 7), -30.0, np.float32)
    for (row, column), logit in objects.items():
        raw[0, row, column] = [0, 0, 0, 0, 30, logit, -30]
    return raw


def test_heads_are_joined_and_boxes_come_back_to_the_picture() -> None:
    maps = [head_map(2, {(1, 0): 1.0}), head_map(8, {(3, 7): 3.0})]
    found = detections_of(maps, [COARSE, FINE], (64, 64), LETTERBOX, DetectSettings(0.25))
    np.testing.assert_allclose(found.boxes, [[112, 16, 128, 32], [0, 32, 64, 96]], rtol=1e-6)
    np.testing.assert_allclose(found.scores, 1 / (1 + np.exp([-3, -1])), rtol=1e-6)


def test_detections_are_clipped_only_on_demand() -> None:
    maps = [head_map(2, {(1, 0): 1.0}), head_map(8, {})]
    found = detections_of(maps, [COARSE, FINE], (64, 64), LETTERBOX, DetectSettings(0.25, clip=True))
    np.testing.assert_allclose(found.boxes, [[0, 32, 64, 64]], rtol=1e-6)


def test_the_same_object_of_two_heads_is_found_once() -> None:
    maps = [head_map(2, {(1, 0): 1.0}), head_map(2, {(1, 0): 2.0})]
    found = detections_of(maps, [COARSE, COARSE], (64, 64), LETTERBOX, DetectSettings(0.25))
    np.testing.assert_allclose(found.scores, [1 / (1 + np.exp(-2))], rtol=1e-6)


def test_the_best_detections_stay_below_the_limit() -> None:
    maps = [head_map(8, {(0, 0): 0.0, (4, 4): 2.0, (7, 7): 1.0})]
    found = detections_of(maps, [FINE], (64, 64), LETTERBOX, DetectSettings(0.25, max_detections=2))
    np.testing.assert_allclose(found.scores, 1 / (1 + np.exp([-2, -1])), rtol=1e-6)


def test_nothing_above_the_threshold_gives_no_detections() -> None:
    assert len(detections_of([head_map(8, {})], [FINE], (64, 64), LETTERBOX, DetectSettings(0.25, clip=True))) == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"conf": 1.5}, "conf: expected a number from 0 to 1, found 1.5"),
        ({"conf": float("nan")}, "conf: expected a number from 0 to 1, found nan"),
        ({"conf": 0.1, "iou": -0.1}, "iou: expected a number from 0 to 1, found -0.1"),
        ({"conf": 0.1, "max_detections": 0}, "max_detections: expected 1 or more, found 0"),
    ],
)
def test_settings_out_of_range_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        DetectSettings(**values)
