"""Plots of a data set are pictures in which its splits and classes show."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from yoloslim.boxes.annotation import Annotation
from yoloslim.data.survey import Survey
from yoloslim.errors import DataError
from yoloslim.report.data_plots import plot_boxes, plot_classes

BLUE, ORANGE = (187, 111, 42), (30, 138, 224)  # BGR, of the training and the validation split


def made(num_boxes: int, num_classes: int = 3, seed: int = 0) -> Survey:
    """A split with boxes of random places, sizes and classes in ten pictures of 640x480."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 300, (num_boxes, 2))
    boxes = np.concatenate([corners, corners + rng.lognormal(3, 0.6, (num_boxes, 2))], axis=1).astype(np.float32)
    annotation = Annotation(boxes, rng.integers(num_classes, size=num_boxes), np.zeros(num_boxes, np.bool_))
    names = tuple(f"class {number}" for number in range(num_classes))
    return Survey(names, np.full((10, 2), (640, 480)), annotation, np.sort(rng.integers(10, size=num_boxes)))


def colours(path: Path) -> set[tuple[int, ...]]:
    picture = cv2.imread(str(path))
    assert picture is not None
    return {tuple(colour) for colour in np.unique(picture.reshape(-1, 3), axis=0).tolist()}


def test_classes_are_drawn_as_bars_of_every_split(tmp_path: Path) -> None:
    plot_classes(tmp_path / "a.png", {"train": made(50), "val": made(20)})
    plot_classes(tmp_path / "b.png", {"train": made(50)})

    assert {BLUE, ORANGE} <= colours(tmp_path / "a.png")
    assert ORANGE not in colours(tmp_path / "b.png")


def test_only_the_most_frequent_of_very_many_classes_are_drawn(tmp_path: Path) -> None:
    plot_classes(tmp_path / "a.png", {"train": made(50, num_classes=100)})
    plot_classes(tmp_path / "b.png", {"train": made(50, num_classes=5000)})

    few, many = (cv2.imread(str(tmp_path / name)) for name in ("a.png", "b.png"))
    assert few is not None
    assert many is not None
    assert abs(few.shape[0] - many.shape[0]) < 50


@pytest.mark.medium
@pytest.mark.parametrize("num_boxes", [1, 3000])
def test_boxes_are_drawn_of_few_and_of_many(tmp_path: Path, num_boxes: int) -> None:
    plot_boxes(tmp_path / "a.png", {"train": made(num_boxes), "val": made(0)}, (416, 416), "letterbox")

    assert BLUE in colours(tmp_path / "a.png")


def test_a_set_without_boxes_has_none_to_draw(tmp_path: Path) -> None:
    plot_classes(tmp_path / "classes.png", {"train": made(0)})

    with pytest.raises(DataError, match="expected boxes to plot, found none in train and val"):
        plot_boxes(tmp_path / "a.png", {"train": made(0), "val": made(0)}, (416, 416), "stretch")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["classes.png"]
