from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from yoloslim.data.formats.oxford_hands import CLASS_NAMES, read_oxford_hands

SIZE = (200, 100)


def corners(*points: tuple[float, float], **more: Any) -> dict[str, Any]:
    """Gives a hand as the data set has it: a struct of (y, x)."""
    return {name: np.array([[y, x]], float) for name, (x, y) in zip("abcd", points, strict=False)} | more


HAND = corners((50, 10), (70, 30), (50, 50), (30, 30))


def put(folder: Path, *hands: Any) -> Path:
    boxes = np.empty((1, len(hands)), object)
    for number, hand in enumerate(hands):
        boxes[0, number] = hand
    scipy.io.savemat(folder / "a.mat", {"boxes": boxes})
    return folder / "a.mat"


def test_corners_are_y_before_x_and_bounded_by_the_box(tmp_path: Path) -> None:
    reading = read_oxford_hands(put(tmp_path, HAND, HAND), CLASS_NAMES, SIZE)

    assert reading.problems == ()
    first, _ = reading.objects or ()
    assert first.xyxy == (30, 10, 70, 50)
    assert first.corners == (50, 10, 70, 30, 50, 50, 30, 30)
    assert first.class_id == 0


@pytest.mark.parametrize("last", [{}, {"d": np.zeros((0, 0))}, {"d": "L"}])
def test_a_fourth_corner_that_is_missing_completes_the_parallelogram(tmp_path: Path, last: dict[str, Any]) -> None:
    hand = corners((50, 10), (70, 30), (50, 50), **last)

    (found,) = read_oxford_hands(put(tmp_path, hand), CLASS_NAMES, SIZE).objects or ()

    assert found.corners == (50, 10, 70, 30, 50, 50, 30, 30)


def test_a_hand_may_reach_over_the_border(tmp_path: Path) -> None:
    hand = corners((-20, 10), (30, 10), (30, 50), (-20, 50))

    (found,) = read_oxford_hands(put(tmp_path, hand), CLASS_NAMES, SIZE).objects or ()

    assert found.xyxy == (-20, 10, 30, 50)


def test_no_hand_is_a_picture_without_objects(tmp_path: Path) -> None:
    reading = read_oxford_hands(put(tmp_path), CLASS_NAMES, SIZE)

    assert (reading.objects, reading.problems) == ((), ())


def test_a_single_class_is_the_hand_and_among_others_it_goes_by_name(tmp_path: Path) -> None:
    path = put(tmp_path, HAND)

    assert (read_oxford_hands(path, ("Hand",), SIZE).objects or ())[0].class_id == 0
    assert (read_oxford_hands(path, ("face", "hand"), SIZE).objects or ())[0].class_id == 1
    assert "class 'hand' is not among" in str(read_oxford_hands(path, ("a", "b"), SIZE).problems[0])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (
            corners((250, 10), (270, 30), (250, 50), (230, 30)),
            "its centre (x=250 y=30) is outside the picture (200x100)",
        ),
        (corners((50, 10), (50, 30), (50, 50), (50, 30)), "the box has no area (x 50 to 50, y 10 to 50)"),
        (corners((50, 10), (float("nan"), 3), (5, 5), (1, 2)), "corner b: expected a finite number, found nan"),
        ({"a": np.eye(2)}, "corner a: expected (y, x), found array"),
        (np.eye(2), "expected a struct with corners a b c d, found ndarray"),
    ],
)
def test_a_bad_hand_is_left_out_and_told_with_its_number(tmp_path: Path, bad: Any, message: str) -> None:
    reading = read_oxford_hands(put(tmp_path, HAND, bad), CLASS_NAMES, SIZE)

    assert len(reading.objects or ()) == 1
    assert str(reading.problems[0]).startswith(f"{tmp_path}/a.mat: box number 2: {message}")


def test_a_file_that_is_no_label_file_is_a_problem_and_not_a_background(tmp_path: Path) -> None:
    (tmp_path / "b.mat").write_bytes(b"no")
    scipy.io.savemat(tmp_path / "c.mat", {"hands": np.eye(2)})

    for name, message in (("b.mat", "found another file"), ("c.mat", "expected a variable `boxes`"), ("", "cannot be")):
        reading = read_oxford_hands(tmp_path / name, CLASS_NAMES, SIZE)
        assert reading.objects is None
        assert message in str(reading.problems[0])
