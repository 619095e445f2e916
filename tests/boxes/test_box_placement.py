from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoloslim.boxes.placement import GREY, Placement, ResizeMode, place, to_batch
from yoloslim.errors import RecipeError

sides = st.integers(1, 400)


def picture(width: int, height: int, value: int = 200) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def test_letterbox_centres_the_picture_between_grey_borders() -> None:
    canvas, placement = place(picture(640, 480), (320, 320), "letterbox")

    assert placement == Placement(0.5, 0.5, left=0, top=40, width=640, height=480)
    assert (canvas[:40] == GREY).all()
    assert (canvas[40:280] == 200).all()
    assert (canvas[280:] == GREY).all()


def test_letterbox_enlarges_a_small_picture() -> None:
    _, placement = place(picture(10, 20), (64, 96), "letterbox")
    assert placement == Placement(4.8, 4.8, left=8, top=0, width=10, height=20)


def test_letterbox_puts_the_odd_grey_pixel_behind_the_picture() -> None:
    canvas, placement = place(picture(3, 4), (8, 8), "letterbox")
    assert placement.left == 1
    assert (canvas[0, :, 0] == GREY).tolist() == [True, False, False, False, False, False, False, True]

    _, placement = place(picture(5, 8), (8, 8), "letterbox")
    assert placement.left == 1  # of 3 grey columns, 2 come behind


def test_a_picture_as_thin_as_a_hair_keeps_one_pixel() -> None:
    canvas, placement = place(picture(1000, 1), (32, 32), "letterbox")
    assert np.flatnonzero((canvas != GREY).any(axis=(1, 2))).tolist() == [placement.top]


def test_stretch_fills_the_input() -> None:
    canvas, placement = place(picture(64, 32), (128, 96), "stretch")
    assert canvas.shape == (96, 128, 3)
    assert (canvas == 200).all()
    assert placement == Placement(2.0, 3.0, left=0, top=0, width=64, height=32)


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_boxes_move_with_the_pixels(resize: ResizeMode) -> None:
    image = picture(200, 120, value=0)
    image[30:90, 40:100] = 255
    canvas, placement = place(image, (160, 160), resize)

    rows, columns = np.nonzero(canvas[..., 0] > 184)
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    moved = placement.to_input(np.array([[40, 30, 100, 90]], np.float32))
    np.testing.assert_allclose(moved[0], seen, atol=0.6)


@given(sides, sides, sides, sides, st.sampled_from(["letterbox", "stretch"]))
def test_boxes_come_back_to_the_picture(
    width: int, height: int, new_width: int, new_height: int, resize: ResizeMode
) -> None:
    _, placement = place(picture(width, height), (new_width, new_height), resize)
    boxes = np.array([[0, 0, width, height], [-3, 2, 7.5, 900]], np.float32)

    inside = placement.to_input(boxes)
    back = placement.to_picture(inside)

    assert inside.dtype == back.dtype == np.float32
    tolerance = 1e-4 * max(1 / placement.scale_x, 1 / placement.scale_y, 1)
    np.testing.assert_allclose(back, boxes, rtol=1e-5, atol=tolerance)
    assert (inside[0] >= 0).all()
    assert (inside[0] <= np.array([new_width, new_height] * 2) + 1e-3).all()


def test_a_batch_is_rgb_from_0_to_1_and_contiguous() -> None:
    canvases = list(np.random.default_rng(0).integers(0, 256, (3, 5, 7, 3), dtype=np.uint8))

    batch = to_batch(canvases)

    assert batch.flags.c_contiguous
    rgb = np.stack(canvases)[..., ::-1].transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(batch, rgb.astype(np.float32) / np.float32(255), strict=True)


def test_a_grey_batch_has_one_channel_weighted_as_eyes_do() -> None:
    canvas = np.zeros((2, 3, 3), np.uint8)
    canvas[0, 0], canvas[0, 1], canvas[0, 2], canvas[1] = (255, 0, 0), (0, 255, 0), (0, 0, 255), 114

    batch = to_batch([canvas, canvas], 1)

    assert batch.shape == (2, 1, 2, 3)
    assert batch.flags.c_contiguous
    np.testing.assert_allclose(batch[0, 0, 0], [0.114, 0.587, 0.299], atol=0.5 / 255)
    np.testing.assert_allclose(batch[1, 0, 1], 114 / 255, rtol=1e-6)


@pytest.mark.parametrize("channels", [0, 2, 4])
def test_pictures_have_one_channel_or_three(channels: int) -> None:
    with pytest.raises(RecipeError, match=rf"this network reads {channels}: set channels= in its cfg"):
        to_batch([np.zeros((2, 3, 3), np.uint8)], channels)
