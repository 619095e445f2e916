from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from yoloslim.data.datafile import load_data_file
from yoloslim.data.dataset import load_dataset
from yoloslim.data.formats.bdd100k import CLASS_NAMES, read_bdd100k, read_bdd100k_picture
from yoloslim.errors import DataError

SIZE = (200, 100)
LANE = {"category": "lane", "id": 1, "poly2d": [{"vertices": [[0, 0], [9, 9]]}]}


def a_label(category: Any = "car", x1: Any = 10, y1: Any = 20, x2: Any = 30, y2: Any = 40) -> dict[str, Any]:
    return {"category": category, "id": 5, "box2d": {"x1": x1, "y1": y1, "x2": x2, "y2": y2}}


def put(folder: Path, content: Any, name: str = "a.json") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("wrapped", [False, True])
def test_boxes_are_corners_in_pixels_and_lanes_are_passed_by(tmp_path: Path, wrapped: bool) -> None:
    frames = [{"name": "a.jpg", "labels": [LANE, a_label(x1=0.5), a_label("traffic sign")]}, {"name": "b.jpg"}]
    labels = read_bdd100k(put(tmp_path, {"frames": frames} if wrapped else frames), CLASS_NAMES)

    reading = labels.read("a.jpg", SIZE)

    assert reading.problems == ()
    assert reading.annotation is not None
    assert reading.annotation.boxes.tolist() == [[0.5, 20, 30, 40], [10, 20, 30, 40]]
    assert [CLASS_NAMES[class_id] for class_id in reading.annotation.class_ids] == ["car", "traffic sign"]
    assert labels.read("b.jpg", SIZE).objects == ()


@pytest.mark.parametrize(
    "names", [("person", "bike", "motor"), ("pedestrian", "bicycle", "motorcycle"), ("person", "bicycle", "motor")]
)
def test_either_releases_words_are_found_under_the_others(tmp_path: Path, names: tuple[str, ...]) -> None:
    categories = ["person", "pedestrian", "bike", "bicycle", "motor", "motorcycle"]
    path = put(tmp_path, [{"name": "a.jpg", "labels": [a_label(category) for category in categories]}])

    reading = read_bdd100k(path, names).read("a.jpg", SIZE)

    assert [found.class_id for found in reading.objects or ()] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (a_label("other vehicle"), "class 'other vehicle' is not among the data file's names"),
        (a_label(x2=10), "the box has no area (x1=10 y1=20 x2=10 y2=40)"),
        (a_label(y2=140), "y2=140 is outside the picture (200x100)"),
        (a_label(x1="left"), "x1: expected a number, found 'left'"),
        (a_label(x1=None), "x1: expected a number, found None"),
        ({"category": "car", "box2d": [1, 2, 3, 4]}, "expected box2d with x1, y1, x2, y2, found [1, 2, 3, 4]"),
    ],
)
def test_a_bad_box_is_left_out_and_told_with_its_picture(tmp_path: Path, bad: Any, message: str) -> None:
    path = put(tmp_path, [{"name": "a.jpg", "labels": [a_label(), bad]}])

    reading = read_bdd100k(path, CLASS_NAMES).read("a.jpg", SIZE)

    assert len(reading.objects or ()) == 1
    assert message in str(reading.problems[0])
    assert str(reading.problems[0]).startswith(f"{path}: a.jpg, label ")


def test_file_names_that_climb_out_or_come_twice_are_refused(tmp_path: Path) -> None:
    frames = [{"name": name, "labels": [a_label()]} for name in ("a.jpg", "../b.jpg", "/c.jpg", "a.jpg", None)]

    labels = read_bdd100k(put(tmp_path, frames), CLASS_NAMES)

    assert list(labels.pictures) == ["a.jpg"]
    assert [str(problem).partition(": ")[2] for problem in labels.problems] == [
        *(
            f"frame number {number}: name: expected the name of a picture inside the pictures' folder, found {name!r}; "
            "the picture and its 1 boxes are left out"
            for number, name in ((2, "../b.jpg"), (3, "/c.jpg"))
        ),
        "a.jpg is stated twice; the second one and its 1 boxes are left out",
        "frame number 5: name: expected the name of a picture inside the pictures' folder, found None; "
        "the picture and its 1 boxes are left out",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'[{"name": "a.jpg", "labels"', r"a\.json:1: expected a BDD100K json file, found broken json"),
        (b'{"images": []}', "expected a BDD100K json file with a list of frames, found none"),
        (b"[1, 2]", "expected a BDD100K json file with a list of frames, found none"),
        (b"\xff", "found content that is refused"),
    ],
)
def test_a_file_that_is_no_bdd100k_json_is_an_error_or_for_one_picture_a_problem(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)

    with pytest.raises(DataError, match=message):
        read_bdd100k(path, CLASS_NAMES)
    reading = read_bdd100k_picture(path, CLASS_NAMES, SIZE)
    assert reading.objects is None
    assert str(reading.problems[0]).startswith(str(path))


def test_a_file_of_one_picture_is_read(tmp_path: Path) -> None:
    path = put(tmp_path, {"name": "a", "frames": [{"timestamp": 10000, "objects": [LANE, a_label("rider")]}]})

    reading = read_bdd100k_picture(path, CLASS_NAMES, SIZE)

    assert [CLASS_NAMES[found.class_id] for found in reading.objects or ()] == ["rider"]


@pytest.mark.parametrize(
    "text",
    [
        "train: images/100k/train\nformat: bdd100k\n",
        "train: images/100k/train\nlabels_train: labels/det_20/det_train.json\n",
        "train: labels/det_20/det_train.json\nformat: bdd100k\n",
        "path: bdd\ntrain: ../labels/det_20/det_train.json\n",
    ],
)
def test_the_labels_of_a_split_or_of_each_picture_are_found(tmp_path: Path, text: str) -> None:
    for folder in ("images/100k/train", "bdd"):
        (tmp_path / folder).mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "images/100k/train/a.png"), np.zeros((100, 200, 3), np.uint8))
    put(tmp_path, [{"name": "a.png", "labels": [a_label()]}], "labels/det_20/det_train.json")
    put(tmp_path, {"frames": [{"objects": [a_label()]}]}, "labels/100k/train/a.json")
    (tmp_path / "a.yaml").write_text(text)

    dataset = load_dataset(load_data_file(tmp_path / "a.yaml"), "train")

    assert dataset.names == CLASS_NAMES
    assert dataset.format.name == "bdd100k"
    assert [len(loaded.annotation or ()) for loaded in dataset] == [1]
    assert dataset.problems == ()
