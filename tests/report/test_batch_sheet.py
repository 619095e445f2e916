"""A batch on a sheet: every picture in its place, boxes where the network is told that they are."""

import numpy as np
import pytest

from yoloslim.report.batch_sheet import batch_sheet
from yoloslim.report.drawing import class_colour

NAMES = ("cat", "dog")
NOTHING = np.zeros((0, 6), np.float32)


def images(count: int, channels: int = 3, height: int = 24, width: int = 32) -> np.ndarray:
    """Pictures of one colour each, RGB."""
    levels = np.arange(count * channels, dtype=np.uint8).reshape(count, channels, 1, 1) * 5
    return np.broadcast_to(levels, (count, channels, height, width))


@pytest.mark.parametrize(("count", "shape"), [(1, (360, 480)), (2, (360, 966)), (5, (726, 1452)), (40, (1458, 1938))])
def test_pictures_stand_in_a_square_and_sixteen_are_enough(count: int, shape: tuple[int, int]) -> None:
    assert batch_sheet(images(count), NOTHING, NAMES).shape == (*shape, 3)


def test_colours_are_those_of_the_pictures() -> None:
    sheet = batch_sheet(images(2), NOTHING, NAMES)

    assert sheet[100, 100].tolist() == [10, 5, 0]  # BGR of the first
    assert sheet[100, 600].tolist() == [25, 20, 15]
    assert sheet[100, 482].tolist() == [255, 255, 255]  # between them


def test_grey_pictures_are_grey() -> None:
    assert batch_sheet(images(2, channels=1), NOTHING, NAMES)[100, 600].tolist() == [5, 5, 5]


def test_boxes_are_on_their_picture() -> None:
    sheet = batch_sheet(images(2), np.array([[1, 1, 0.5, 0.5, 0.5, 0.5]], np.float32), NAMES)

    left = 486 + 120
    assert tuple(sheet[180, left]) == class_colour(1)
    assert tuple(sheet[270, left + 120]) == class_colour(1)
    assert (sheet[:, :480] == sheet[0, 0]).all()  # the first picture has none
