"""Boxes drawn on pictures: every one seen, every label inside and in nobody's way."""

from __future__ import annotations

import numpy as np
import pytest

from yoloslim.boxes.detections import Detections
from yoloslim.report.drawing import class_colour, draw

NAMES = ("cat", "dog", "γάτα")


def found(*boxes: tuple[float, float, float, float], class_ids: tuple[int, ...] | None = None) -> Detections:
    ids = class_ids or tuple(range(len(boxes)))
    scores = np.linspace(0.9, 0.5, len(boxes), dtype=np.float32)
    return Detections(np.array(boxes, np.float32).reshape(-1, 4), scores, np.array(ids, np.int64))


def blank(width: int = 200, height: int = 150) -> np.ndarray:
    return np.full((height, width, 3), 90, np.uint8)


def changed(drawn: np.ndarray) -> np.ndarray:
    """Rows and columns of the pixels that were drawn on, shape (N, 2)."""
    return np.argwhere((drawn != blank(drawn.shape[1], drawn.shape[0])).any(axis=2))


def test_a_box_is_drawn_in_the_colour_of_its_class_and_the_picture_stays() -> None:
    picture = blank()

    drawn = draw(picture, found((50, 60, 120, 110)), NAMES)

    assert (picture == blank()).all()
    for row, column in ((60, 115), (110, 80), (85, 50), (85, 120)):
        assert tuple(drawn[row, column]) == class_colour(0)
    assert (drawn[85, 85] == 90).all()


def test_nothing_found_changes_nothing() -> None:
    assert (draw(blank(), found(), NAMES) == blank()).all()


@pytest.mark.parametrize(
    "box",
    [(-50, -50, 400, 400), (0, 0, 30, 20), (190, 140, 199, 149), (-1e30, -1e30, np.inf, np.nan), (300, 300, 400, 400)],
)
def test_boxes_beyond_the_picture_are_drawn_at_its_border(box: tuple[float, float, float, float]) -> None:
    assert len(changed(draw(blank(), found(box), NAMES)))


def test_labels_of_boxes_with_one_corner_lie_beside_each_other() -> None:
    corner = (50, 80, 120, 140)
    alone = len(changed(draw(blank(), found(corner), NAMES)))

    together = draw(blank(), found(corner, corner, class_ids=(0, 1)), NAMES)

    strip = (together == np.array(class_colour(1), np.uint8)).all(axis=2)[:80]
    assert strip.sum() > 200
    assert len(changed(together)) > alone + strip.sum()


def test_a_name_that_the_font_lacks_is_drawn_as_its_class_id() -> None:
    box = (50, 60, 120, 110)

    greek = draw(blank(), found(box, class_ids=(2,)), NAMES)

    assert (greek == draw(blank(), found(box, class_ids=(2,)), ("", "", "#2"))).all()


def test_small_pictures_can_be_drawn_on() -> None:
    assert draw(blank(8, 6), found((1, 1, 6, 5)), NAMES).shape == (6, 8, 3)


def test_neighbouring_classes_have_colours_far_apart() -> None:
    colours = np.array([class_colour(index) for index in range(80)])

    assert len({tuple(colour) for colour in colours}) == 80
    assert np.abs(np.diff(colours, axis=0)).sum(axis=1).min() > 100
