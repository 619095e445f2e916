from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from yoloslim.data.annotations import Kind, LabelReading
from yoloslim.data.datafile import load_data_file
from yoloslim.data.dataset import load_dataset
from yoloslim.data.formats.visdrone import CLASS_NAMES, read_visdrone

SIZE = (200, 100)


def read(folder: Path, text: str) -> LabelReading:
    path = folder / "a.txt"
    path.write_text(text)
    return read_visdrone(path, CLASS_NAMES, SIZE)


def test_boxes_are_corner_and_size_in_pixels_and_categories_count_from_one(tmp_path: Path) -> None:
    reading = read(tmp_path, "10,20,30,40,1,1,0,0\n0,0,200,100,0,10,1,2,\n\n")

    assert reading.problems == ()
    assert reading.annotation is not None
    assert reading.annotation.boxes.tolist() == [[10, 20, 40, 60], [0, 0, 200, 100]]
    assert reading.annotation.class_ids.tolist() == [0, 9]
    assert reading.annotation.difficult.tolist() == [False, True]


def test_classes_are_found_by_name_whatever_their_order(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("10,20,30,40,1,4,0,0\n10,20,30,40,1,6,0,0\n")

    reading = read_visdrone(tmp_path / "a.txt", ("bus", "car"), SIZE)

    assert reading.annotation is not None
    assert reading.annotation.class_ids.tolist() == [1]
    assert "class 'truck' is not among the data file's names (bus, car)" in str(reading.problems[0])


@pytest.mark.parametrize(
    ("line", "kind", "message"),
    [
        ("10,20,30,40,0,0,0,0", Kind.IGNORED, "category 0 is an ignored region"),
        ("10,20,30,40,1,11,0,0", Kind.IGNORED, "category 11 is an object of no class (others)"),
        ("10,20,30,40,1,12,0,0", Kind.UNKNOWN_CLASS, "expected a category from 0 to 11, found 12"),
        ("10,20,30,40,1,1.5,0,0", Kind.UNKNOWN_CLASS, "found 1.5"),
        ("10,20,0,40,1,1,0,0", Kind.NO_AREA, "the box has no area (left=10 top=20 left+width=10 top+height=60)"),
        ("10,20,300,40,1,1,0,0", Kind.OUTSIDE, "left+width=310 is outside the picture (200x100)"),
        ("10,20,30,x,1,1,0,0", Kind.MALFORMED, "expected a number, found 'x'"),
        ("10 20 30 40 1 1 0 0", Kind.MALFORMED, "expected 8 numbers with commas between them, found 1 fields"),
    ],
)
def test_a_box_that_is_bad_or_of_no_class_is_left_out_and_told_with_its_line(
    tmp_path: Path, line: str, kind: Kind, message: str
) -> None:
    reading = read(tmp_path, f"1,1,5,5,1,1,0,0\n{line}\n2,2,5,5,1,2,0,0\n")

    assert len(reading.objects or ()) == 2
    (problem,) = reading.problems
    assert (problem.line, problem.kind) == (2, kind)
    assert message in problem.message


def test_a_file_that_is_no_text_and_a_folder_are_problems_and_no_backgrounds(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff\xd8")

    for path in (tmp_path / "a.txt", tmp_path):
        reading = read_visdrone(path, CLASS_NAMES, SIZE)
        assert reading.objects is None
        assert "label file cannot be read" in str(reading.problems[0])


def test_a_data_file_that_states_the_format_needs_no_names(tmp_path: Path) -> None:
    for folder in ("images", "annotations"):
        (tmp_path / folder).mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.zeros((100, 200, 3), np.uint8))
    (tmp_path / "annotations" / "a.txt").write_text("10,20,30,40,1,4,0,0\n")
    (tmp_path / "a.yaml").write_text("train: images\nformat: visdrone\n")

    dataset = load_dataset(load_data_file(tmp_path / "a.yaml"), "train")

    assert dataset.names == CLASS_NAMES
    assert dataset[0].annotation is not None
    assert [dataset.names[class_id] for class_id in dataset[0].annotation.class_ids] == ["car"]
