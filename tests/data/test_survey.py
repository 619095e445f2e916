"""The boxes of a data set at the size at which a network sees them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from yoloslim.boxes.placement import ResizeMode, place
from yoloslim.data.datafile import load_data_file
from yoloslim.data.dataset import Dataset, load_dataset
from yoloslim.data.survey import survey
from yoloslim.errors import DataError


def make_set(folder: Path, *pictures: tuple[int, int, str]) -> Dataset:
    """Makes a data set of pictures with this width, height and label text."""
    for number, (width, height, label) in enumerate(pictures):
        cv2.imwrite(str(folder / f"{number}.png"), np.zeros((height, width, 3), np.uint8))
        (folder / f"{number}.txt").write_text(label)
    (folder / "a.yaml").write_text("train: .\nnames: [car, bus]\n")
    return load_dataset(load_data_file(folder / "a.yaml"), "train")


def test_boxes_are_cut_at_the_border_as_in_training(tmp_path: Path) -> None:
    found = survey(make_set(tmp_path, (100, 50, "0 .05 .5 .2 .4\n"), (20, 40, "1 .5 .5 .5 .5\n0 .5 .5 1 1")))

    assert found.picture_sizes.tolist() == [[100, 50], [20, 40]]
    assert found.boxes.class_ids.tolist() == [0, 1, 0]
    assert found.pictures.tolist() == [0, 1, 1]
    np.testing.assert_allclose(found.box_sizes, [[15, 20], [10, 20], [20, 40]], atol=1e-5)


@pytest.mark.parametrize("size", [(416, 416), (320, 192), (32, 64)])
@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_sizes_at_the_input_are_those_that_a_placed_picture_has(
    tmp_path: Path, size: tuple[int, int], resize: ResizeMode
) -> None:
    pictures = [(100, 50), (37, 41), (640, 480), (3, 500)]
    found = survey(make_set(tmp_path, *((w, h, "0 .5 .5 .5 .5\n") for w, h in pictures)))

    expected = [place(np.zeros((h, w, 3), np.uint8), size, resize)[1] for w, h in pictures]

    wanted = [[w / 2 * there.scale_x, h / 2 * there.scale_y] for (w, h), there in zip(pictures, expected, strict=True)]
    np.testing.assert_allclose(found.sizes_at(size, resize), wanted, rtol=1e-5)


def test_difficult_boxes_are_not_trained_on(tmp_path: Path) -> None:
    an_object = "<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>{}</xmax>"
    an_object += "<ymax>6</ymax></bndbox></object>"
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((10, 10, 3), np.uint8))
    objects = an_object.format("car", 1, 9) + an_object.format("bus", 0, 6)
    (tmp_path / "a.xml").write_text(f"<annotation>{objects}</annotation>")
    (tmp_path / "a.yaml").write_text("train: .\nnames: [car, bus]\n")

    found = survey(load_dataset(load_data_file(tmp_path / "a.yaml"), "train"))

    assert len(found.box_sizes) == 2
    assert found.trained_sizes((20, 20), "stretch").tolist() == [[10, 10]]


def test_what_cannot_be_read_is_left_out_and_told(tmp_path: Path) -> None:
    dataset = make_set(tmp_path, (10, 10, "0 .5 .5 .5 .5\n"), (10, 10, "0 .5 .5 .5 .5\n"), (10, 10, "0 .5 .5 0 .5\n"))
    (tmp_path / "1.png").write_bytes(b"no picture")
    seen: list[int] = []

    found = survey(dataset, seen.append)

    assert (len(found.picture_sizes), len(found.box_sizes)) == (2, 1)
    assert [(problem.path.name, problem.kind) for problem in found.problems] == [
        ("1.png", "unreadable picture"),
        ("2.txt", "box without area"),
    ]
    assert seen == [1, 2, 3]


def test_a_set_in_which_nothing_can_be_read_is_refused(tmp_path: Path) -> None:
    dataset = make_set(tmp_path, (10, 10, ""))
    (tmp_path / "0.png").write_bytes(b"no picture")

    with pytest.raises(DataError, match=r"expected labelled pictures, found none among 1 that can be read \(.*0\.png"):
        survey(dataset)
