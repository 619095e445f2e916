from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoloslim.boxes.annotation import Annotation
from yoloslim.boxes.placement import GREY
from yoloslim.data.geometry import (
    Pair,
    blend,
    cut,
    fitted_size,
    flip,
    lay_mosaic,
    moved_boxes,
    paint_over,
    resize_to,
    rotation,
    scaling,
    shearing,
    translation,
    warp,
)

BOX = (30, 20, 70, 50)


def annotation(*boxes: tuple[float, float, float, float]) -> Annotation:
    count = len(boxes)
    return Annotation(np.array(boxes, np.float32).reshape(-1, 4), np.arange(count), np.zeros(count, np.bool_))


def painted(box: tuple[int, int, int, int] = BOX) -> Pair:
    picture = np.zeros((80, 100, 3), np.uint8)
    left, top, right, bottom = box
    picture[top:bottom, left:right] = 255
    return Pair(picture, annotation(box))


def bright_box(picture: np.ndarray) -> list[int]:
    ys, xs = np.nonzero(picture.min(axis=2) > 127)
    return [int(side) for side in (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)]


@given(st.integers(0, 2**32), st.integers(1, 20), st.integers(1, 20), st.booleans())
def test_two_flips_give_the_picture_back(seed: int, width: int, height: int, vertical: bool) -> None:
    rng = np.random.default_rng(seed)
    boxes = np.sort(rng.integers(0, [width + 1, height + 1], (5, 2, 2)), axis=1).reshape(-1, 4)
    pair = Pair(rng.integers(0, 256, (height, width, 3), np.uint8), annotation(*map(tuple, boxes.tolist())))

    found = flip(*flip(*pair, vertical=vertical), vertical=vertical)

    np.testing.assert_array_equal(found.picture, pair.picture)
    np.testing.assert_array_equal(found.annotation.boxes, pair.annotation.boxes)


def test_a_flip_moves_the_box_with_what_is_painted() -> None:
    mirrored, turned = (flip(*painted((10, 20, 30, 50)), vertical=vertical) for vertical in (False, True))

    assert bright_box(mirrored.picture) == [70, 20, 90, 50]
    assert mirrored.annotation.boxes.tolist() == [[70, 20, 90, 50]]
    assert bright_box(turned.picture) == turned.annotation.boxes[0].tolist()
    assert turned.annotation.boxes[0, [0, 2]].tolist() == [10, 30]


@given(
    gain=st.floats(0.5, 2),
    degrees=st.floats(-180, 180),
    x=st.floats(-30, 30),
    y=st.floats(-30, 30),
    slant=st.floats(-20, 20),
)
def test_an_affine_map_moves_a_box_as_it_moves_a_painted_rectangle(
    gain: float, degrees: float, x: float, y: float, slant: float
) -> None:
    middle = translation(200 + x, 200 + y)  # all of it stays on the canvas
    matrix = middle @ scaling(gain, gain) @ rotation(degrees) @ shearing(slant, 0) @ translation(-50, -40)

    found = warp(*painted(), matrix, (400, 400))

    # A corner's pixels are only partly covered: what is seen of a turned rectangle is up to 2 pixels smaller.
    np.testing.assert_allclose(bright_box(found.picture), found.annotation.boxes[0], atol=2)


@pytest.mark.parametrize("gain", [0.5, 1.0, 2.0])
def test_an_upright_map_is_exact_to_the_pixel(gain: float) -> None:
    found = warp(*painted(), translation(12, 7) @ scaling(gain, gain), (400, 400))

    assert bright_box(found.picture) == [gain * x + offset for x, offset in zip(BOX, (12, 7) * 2, strict=True)]
    np.testing.assert_array_equal(found.annotation.boxes[0], bright_box(found.picture))


def test_a_quarter_turn_is_clockwise() -> None:
    boxes = np.array([[10, 0, 20, 5]], np.float32)  # to the right of the origin

    np.testing.assert_allclose(moved_boxes(boxes, rotation(90)), [[-5, 10, 0, 20]], atol=1e-6)  # below it


def test_what_a_map_leaves_free_is_grey() -> None:
    found = warp(*painted(), translation(50, 0), (150, 80))

    assert (found.picture[:, :49] == GREY).all()


def test_objects_are_cut_at_the_border_and_left_out_when_too_little_is_left() -> None:
    found = annotation((-5, -5, 5, 5), (-30, 0, 10, 10), (40, 40, 60, 60), (10, 10, 11, 30), (20, 20, 20, 25))

    assert cut(found, (50, 40)).boxes.tolist() == [[0, 0, 5, 5], [0, 0, 10, 10], [10, 10, 11, 30]]
    assert cut(found, (50, 40), min_visible=0.25).class_ids.tolist() == [0, 1, 3]
    assert cut(found, (50, 40), min_visible=0.26).class_ids.tolist() == [3]
    assert cut(found, (50, 40), min_side_px=6).class_ids.tolist() == [1]


def test_without_objects_everything_works() -> None:
    picture = painted().picture

    pairs = [flip(picture, Annotation.empty()), warp(picture, Annotation.empty(), rotation(5), (20, 20))]

    assert [len(cut(pair.annotation, (20, 20))) for pair in pairs] == [0, 0]


@given(st.lists(st.tuples(st.integers(10, 40), st.integers(10, 40)), min_size=4, max_size=4))
def test_a_mosaic_keeps_every_picture_whole_around_one_point(sizes: list[tuple[int, int]]) -> None:
    pairs = [
        Pair(np.full((height, width, 3), 200 + number, np.uint8), annotation((0, 0, width, height)))
        for number, (width, height) in enumerate(sizes)
    ]

    (canvas, found), (x, y) = lay_mosaic(pairs)

    for number, box in enumerate(found.boxes.astype(int).tolist()):
        left, top, right, bottom = box
        assert (canvas[top:bottom, left:right] == 200 + number).all()
        assert x == (right if number % 2 == 0 else left)
        assert y == (bottom if number < 2 else top)
    assert (canvas == GREY).all(axis=2).sum() == canvas.shape[0] * canvas.shape[1] - sum(w * h for w, h in sizes)


def test_a_mosaic_of_three_is_refused() -> None:
    with pytest.raises(ValueError, match="takes 4 pictures, found 3"):
        lay_mosaic([painted()] * 3)


def test_a_picture_is_fitted_as_the_placement_does() -> None:
    picture = painted().picture  # 100 x 80

    assert fitted_size(picture, (50, 50), "letterbox") == (50, 40)
    assert fitted_size(picture, (200, 400), "letterbox") == (200, 160)
    assert fitted_size(picture, (50, 60), "stretch") == (50, 60)


def test_resizing_takes_the_boxes_along() -> None:
    found = resize_to(*painted(), (200, 40))

    assert found.picture.shape == (40, 200, 3)
    assert found.annotation.boxes.tolist() == [[60, 10, 140, 25]]


def test_blended_pictures_have_the_objects_of_both_and_the_classes_that_neither_lacks() -> None:
    first, second = painted((0, 0, 50, 80)), painted((50, 0, 100, 80))
    lacking = Pair(second.picture, dataclasses.replace(second.annotation, unlabelled=frozenset({7})))

    found = blend(first, lacking, 0.75)

    assert found.picture[40, 20].tolist() == [191] * 3  # 0.75 * 255
    assert found.picture[40, 80].tolist() == [64] * 3
    assert found.annotation.boxes.tolist() == [[0, 0, 50, 80], [50, 0, 100, 80]]
    assert found.annotation.unlabelled == {7}


@pytest.mark.parametrize(
    ("hole", "min_visible", "kept"),
    [
        ((30, 20, 70, 50), 0.0, 0),  # the whole object
        ((0, 0, 100, 80), 0.0, 0),
        ((30, 20, 69, 50), 0.0, 1),  # a column of 40 is left
        ((30, 20, 69, 50), 0.1, 0),
        ((30, 20, 60, 50), 0.25, 1),
        ((70, 20, 90, 50), 1.0, 1),  # beside it
        ((40, 30, 40, 40), 1.0, 1),  # no hole at all
    ],
)
def test_an_object_that_is_painted_over_is_left_out(
    hole: tuple[int, int, int, int], min_visible: float, kept: int
) -> None:
    pair = painted()

    found = paint_over(*pair, hole, min_visible=min_visible)

    left, top, right, bottom = hole
    assert len(found.annotation) == kept
    assert (found.picture[top:bottom, left:right] == GREY).all()
    assert (found.picture == GREY).all(axis=2).sum() == (right - left) * (bottom - top)
    assert not (pair.picture == GREY).any()  # the source is untouched
