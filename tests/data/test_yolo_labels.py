from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoloslim.data.annotations import LabelReading
from yoloslim.data.formats.yolo import read_yolo

NAMES = ("car", "bus", "van")
SIZE = (200, 100)  # width, height: a mix-up of the two shows


def read(folder: Path, text: str) -> LabelReading:
    path = folder / "a.txt"
    path.write_text(text)
    return read_yolo(path, NAMES, SIZE)


def test_boxes_are_given_in_pixels_of_the_picture(tmp_path: Path) -> None:
    reading = read(tmp_path, "2 0.5 0.5 0.1 0.4\n\n0 0.25 0.5 0.5 1.0\n")

    assert reading.problems == ()
    assert reading.annotation is not None
    np.testing.assert_allclose(reading.annotation.boxes, [[90, 30, 110, 70], [0, 0, 100, 100]], atol=1e-4)
    assert reading.annotation.class_ids.tolist() == [2, 0]
    assert not reading.annotation.difficult.any()


def test_four_corners_in_any_order_are_taken_as_their_bounding_box(tmp_path: Path) -> None:
    reading = read(tmp_path, "1 0.5 0.1 0.7 0.3 0.5 0.5 0.3 0.3\n")

    assert reading.annotation is not None
    np.testing.assert_allclose(reading.annotation.boxes, [[60, 10, 140, 50]], atol=1e-4)
    assert reading.objects is not None
    np.testing.assert_allclose(reading.objects[0].corners, [100, 10, 140, 30, 100, 50, 60, 30])


@pytest.mark.parametrize(
    "line",
    [
        "0 0.5 0.5 1.0000001 1",
        "0 1.0000001 0.5 0.2 0.2",
        "0 -0.0000005 0.5 0.2 0.2",
        "0 0.5 0.5 1.005 1",  # one pixel of 200
        "0 0.95 0.5 0.3 0.2",  # reaches over the border, as augmentation tools write
        "0.0 0.5 0.5 0.2 0.2",
        "  0\t0.5  0.5 0.2 2e-1 ",
    ],
)
def test_a_box_that_is_off_by_rounding_or_reaches_over_the_border_is_kept(tmp_path: Path, line: str) -> None:
    reading = read(tmp_path, line)

    assert reading.problems == ()
    assert reading.annotation is not None
    assert len(reading.annotation) == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 x 0.1 0.1", "expected a number, found 'x'"),
        ("car 0.5 0.5 0.1 0.1", "expected a number, found 'car'"),
        ("0 nan 0.5 0.1 0.1", "expected a finite number, found 'nan'"),
        ("0 0.5 0.5 inf 0.1", "expected a finite number, found 'inf'"),
        ("0 1.02 0.5 0.1 0.1", "cx=1.02 is outside 0..1"),
        ("0 0.5 -0.2 0.1 0.1", "cy=-0.2 is outside 0..1"),
        ("0 320 240 50 60", "cx=320 is outside 0..1"),
        ("0 0.5 0.5 0.1 1.2", "h=1.2 is outside 0..1"),
        ("0 0.5 0.5 0 0.1", "the box has no area (w=0, h=0.1)"),
        ("0 0.5 0.5 -0.001 0.1", "the box has no area"),
        ("3 0.5 0.5 0.1 0.1", "class id 3 is outside 0..2 (the data file has 3 classes)"),
        ("-1 0.5 0.5 0.1 0.1", "class id -1 is outside 0..2"),
        ("1.5 0.5 0.5 0.1 0.1", "expected a whole number as class id, found 1.5"),
        ("0 0.5 0.5 0.1", "found 4 fields"),
        ("0 0.5 0.5 0.1 0.1 0.9", "found 6 fields"),
        ("0 0.1 0.1 0.1 0.2 0.1 0.3 0.1 0.4", "the box has no area"),
    ],
)
def test_a_bad_box_is_left_out_and_told_with_its_line(tmp_path: Path, line: str, message: str) -> None:
    reading = read(tmp_path, f"0 0.5 0.5 0.2 0.2\n{line}\n1 0.5 0.5 0.2 0.2\n")

    assert reading.annotation is not None
    assert reading.annotation.class_ids.tolist() == [0, 1]
    (problem,) = reading.problems
    assert problem.line == 2
    assert message in problem.message


def test_an_empty_file_is_a_picture_without_objects(tmp_path: Path) -> None:
    reading = read(tmp_path, "\n")

    assert reading.annotation is not None
    assert (len(reading.annotation), reading.problems) == (0, ())


def test_a_file_that_is_no_text_is_a_problem_and_not_a_background(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xff\xd8\xff\xe0")

    reading = read_yolo(path, NAMES, SIZE)

    assert reading.annotation is None
    assert "found binary data" in str(reading.problems[0])


def test_a_folder_in_place_of_the_file_is_a_problem(tmp_path: Path) -> None:
    reading = read_yolo(tmp_path, NAMES, SIZE)

    assert reading.annotation is None
    assert "cannot be read" in str(reading.problems[0])


@given(st.text(alphabet="01259.- \nnaife_x\0", max_size=80) | st.binary(max_size=40))
def test_no_content_makes_the_reader_fail_and_every_line_is_a_box_or_a_problem(content: str | bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.txt"
        path.write_bytes(content.encode() if isinstance(content, str) else content)

        reading = read_yolo(path, NAMES, SIZE)

        if reading.annotation is None:
            assert len(reading.problems) == 1
        else:
            lines = path.read_text("utf-8-sig").splitlines()
            assert len(reading.annotation) + len(reading.problems) == sum(bool(line.strip()) for line in lines)
            assert np.isfinite(reading.annotation.boxes).all()
