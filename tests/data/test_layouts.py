"""Each data set as it lies on disk after its download, in miniature."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import scipy.io

from yoloslim.data.convert import Conversion, convert_data
from yoloslim.data.datafile import load_data_file
from yoloslim.data.dataset import load_dataset
from yoloslim.data.layouts import LAYOUTS, read_layout
from yoloslim.data.splits import DataFile
from yoloslim.data.targets import TARGETS
from yoloslim.errors import DataError

PNG = cv2.imencode(".png", np.zeros((50, 100, 3), np.uint8))[1].tobytes()
VOC = (
    "<annotation><object><name>{0}</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>"
    "</object></annotation>"
)


def put(folder: Path, files: dict[str, Any]) -> None:
    """Writes files: pictures where the content is None, json where it is no text."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_bytes(PNG if content is None else text.encode())


def coco(name: str, *, width: int = 29) -> dict[str, Any]:
    annotation = {"id": 1, "image_id": 8, "category_id": 3, "bbox": [1, 2, width, 38]}
    categories = [{"id": 3, "name": "bus"}, {"id": 1, "name": "car"}]
    return {"images": [{"id": 8, "file_name": name}], "annotations": [annotation], "categories": categories}


def bdd(name: str) -> list[dict[str, Any]]:
    box = {"x1": 1, "y1": 2, "x2": 30, "y2": 40}
    return [{"name": name, "labels": [{"category": "pedestrian", "box2d": box}]}]


def found(data_file: DataFile) -> dict[str, list[tuple[str, str]]]:
    """Gives (picture, class) of each box, by split; all must be the same box."""
    rows: dict[str, list[tuple[str, str]]] = {}
    for split in data_file.splits:
        dataset = load_dataset(data_file, split)
        assert dataset.problems == ()
        for loaded in dataset:
            assert loaded.problems == ()
            assert loaded.annotation is not None
            np.testing.assert_allclose(loaded.annotation.boxes, [[1, 2, 30, 40]], atol=1e-4)
            (class_id,) = loaded.annotation.class_ids.tolist()
            rows.setdefault(split, []).append((loaded.sample.path.name, dataset.names[class_id]))
    return rows


YOLO = "1 0.155 0.42 0.29 0.76\n"


@pytest.mark.parametrize(
    ("label_format", "files"),
    [
        (
            "yolo",
            {f"images/{split}/{split}.png": None for split in ("train", "val")}
            | {f"labels/{split}/{split}.txt": YOLO for split in ("train", "val")}
            | {"classes.txt": "car\nbus\n"},
        ),
        (
            "yolo",
            {f"{folder}/images/{split}.png": None for folder, split in (("train", "train"), ("valid", "val"))}
            | {f"{folder}/labels/{split}.txt": YOLO for folder, split in (("train", "train"), ("valid", "val"))}
            | {"data.yaml": "train: ../train/images\nval: ../valid/images\nnames: [car, bus]\n"},
        ),
        (
            "voc",
            {f"JPEGImages/{split}.png": None for split in ("train", "val")}
            | {f"Annotations/{split}.xml": VOC.format("bus") for split in ("train", "val")}
            | {f"ImageSets/Main/{split}.txt": f"{split}\n" for split in ("train", "val")}
            | {"ImageSets/Main/trainval.txt": "train\nval\n", "ImageSets/Main/bus_train.txt": "train  1\n"},
        ),
        (
            "coco",
            {f"{split}2017/{split}.png": None for split in ("train", "val")}
            | {f"annotations/instances_{split}2017.json": coco(f"{split}.png") for split in ("train", "val")}
            | {"annotations/captions_val2017.json": {}, "annotations/image_info_test2017.json": {}},
        ),
        (
            "coco",
            {f"{folder}/{split}.png": None for folder, split in (("train", "train"), ("valid", "val"))}
            | {
                f"{folder}/_annotations.coco.json": coco(f"{split}.png")
                for folder, split in (("train", "train"), ("valid", "val"))
            },
        ),
    ],
)
def test_a_folder_as_its_format_lays_it_out_is_read(tmp_path: Path, label_format: str, files: dict[str, Any]) -> None:
    put(tmp_path, files)

    data_file = read_layout(tmp_path, label_format)

    assert found(data_file) == {"train": [("train.png", "bus")], "val": [("val.png", "bus")]}


def test_visdrone_is_read(tmp_path: Path) -> None:
    for name, split in (("train", "train"), ("val", "val"), ("test-dev", "test"), ("test-challenge", "")):
        put(tmp_path, {f"VisDrone2019-DET-{name}/images/{name}.png": None})
        if split:
            put(tmp_path, {f"VisDrone2019-DET-{name}/annotations/{name}.txt": "1,2,29,38,1,4,0,0\n"})

    rows = found(read_layout(tmp_path, "visdrone"))

    assert rows == {"train": [("train.png", "car")], "val": [("val.png", "car")], "test": [("test-dev.png", "car")]}


@pytest.mark.parametrize("labels", ["labels/det_20/det_{}.json", "labels/bdd100k_labels_images_{}.json"])
def test_bdd100k_is_read(tmp_path: Path, labels: str) -> None:
    for split in ("train", "val"):
        put(tmp_path, {f"images/100k/{split}/{split}.png": None, labels.format(split): bdd(f"{split}.png")})
    put(tmp_path, {"images/100k/test/x.png": None})

    rows = found(read_layout(tmp_path, "bdd100k"))

    assert rows == {"train": [("train.png", "person")], "val": [("val.png", "person")]}


def test_bdd100k_with_a_label_file_for_each_picture_is_read(tmp_path: Path) -> None:
    (frame,) = bdd("x")
    put(tmp_path, {"images/100k/train/a.png": None})
    put(tmp_path, {"labels/100k/train/a.json": {"name": "a", "frames": [{"objects": frame["labels"]}]}})

    assert found(read_layout(tmp_path, "bdd100k")) == {"train": [("a.png", "person")]}


@pytest.mark.parametrize("lists", ["ImageSets/Main", "Main"])
@pytest.mark.parametrize("labels", ["Annotations/Horizontal Bounding Boxes", "Annotations"])
def test_dior_is_read(tmp_path: Path, lists: str, labels: str) -> None:
    for split, folder in (("train", "trainval"), ("val", "trainval"), ("test", "test")):
        put(tmp_path, {f"JPEGImages-{folder}/{split}.png": None, f"{labels}/{split}.xml": VOC.format("ship")})
        put(tmp_path, {f"{lists}/{split}.txt": f"{split}\n"})

    rows = found(read_layout(tmp_path, "dior"))

    assert rows == {split: [(f"{split}.png", "ship")] for split in ("train", "val", "test")}


def test_oxford_hands_are_read(tmp_path: Path) -> None:
    corners = {"a": (2.0, 1.0), "b": (2.0, 30.0), "c": (40.0, 30.0), "d": (40.0, 1.0)}
    boxes = np.empty((1, 1), object)
    boxes[0, 0] = {name: np.array([point]) for name, point in corners.items()}
    for word in ("training", "validation", "test"):
        folder = f"{word}_dataset/{word}_data"
        put(tmp_path, {f"{folder}/images/{word}.png": None, f"{folder}/annotations/x": ""})
        scipy.io.savemat(tmp_path / folder / "annotations" / f"{word}.mat", {"boxes": boxes})

    rows = found(read_layout(tmp_path, "oxfordhand"))

    assert rows == {
        "train": [("training.png", "hand")],
        "val": [("validation.png", "hand")],
        "test": [("test.png", "hand")],
    }


def test_pictures_with_labels_beside_them_are_one_split(tmp_path: Path) -> None:
    put(tmp_path / "y", {"a.png": None, "a.txt": YOLO, "my.names": "car\nbus\n"})
    put(tmp_path / "v", {"a.png": None, "a.xml": VOC.format("bus"), "broken.xml": "<annot"})

    for name, label_format in (("y", "yolo"), ("v", "voc")):
        assert found(read_layout(tmp_path / name, label_format)) == {"train": [("a.png", "bus")]}


def test_the_classes_of_xml_files_are_taken_in_alphabetical_order_and_told(tmp_path: Path) -> None:
    put(tmp_path, {"JPEGImages/a.png": None})
    put(tmp_path, {"Annotations/a.xml": VOC.format("b"), "Annotations/b.xml": VOC.format("a")})

    data_file = read_layout(tmp_path, "voc")

    assert data_file.names == ("a", "b")
    assert data_file.notes == (f"{tmp_path}: class names are those of the xml files, in alphabetical order: a, b",)


@pytest.mark.parametrize("label_format", ["coco", "visdrone", "bdd100k", "dior", "oxfordhand"])
def test_a_folder_that_is_laid_out_otherwise_is_an_error_that_says_what_was_expected(
    tmp_path: Path, label_format: str
) -> None:
    put(tmp_path, {"pictures/a.png": None})
    expected = LAYOUTS[label_format][1]

    with pytest.raises(
        DataError, match=f"expected the layout of {label_format} \\({re.escape(expected)}\\), found none"
    ):
        read_layout(tmp_path, label_format)


@pytest.mark.parametrize(
    ("label_format", "files", "message"),
    [
        ("yolo", {"images/a.png": None}, "expected the class names in classes.txt or a .names file, found neither"),
        ("yolo", {"classes.txt": "\n", "images/a.png": None}, "expected one class name a line, found none"),
        ("yolo", {"a.yaml": "", "b.yaml": ""}, "expected one data file in the folder, found a.yaml, b.yaml"),
        ("voc", {"JPEGImages/a.png": None}, "expected xml files with the names of classes, found none in 0 of them"),
    ],
)
def test_a_folder_without_class_names_is_an_error(
    tmp_path: Path, label_format: str, files: dict[str, Any], message: str
) -> None:
    put(tmp_path, files)

    with pytest.raises(DataError, match=re.escape(message)):
        read_layout(tmp_path, label_format)
    with pytest.raises(DataError, match="no such folder"):
        read_layout(tmp_path / "gone", label_format)


def test_a_names_file_of_one_class_is_a_data_set_of_one_class(tmp_path: Path) -> None:
    put(tmp_path, {"images/a.png": None, "labels/a.txt": YOLO.replace("1 ", "0 ", 1), "labels/classes.txt": "car"})

    assert found(read_layout(tmp_path, "yolo")) == {"train": [("a.png", "car")]}


# ---- real data -------------------------------------------------------------------------------------------------------


def stated_counts(folder: Path) -> tuple[int, int]:
    """Gives the numbers of pictures and boxes in a SOURCE.txt."""
    text = re.search(r"^contents: .*", (folder / "SOURCE.txt").read_text(), re.MULTILINE)
    assert text is not None
    pictures = re.search(r"(\d+) images", text[0])
    boxes = re.search(r"(\d+)(?: \+ (\d+))? boxes", text[0])
    assert pictures is not None
    assert boxes is not None
    return int(pictures[1]), sum(int(number) for number in boxes.groups() if number)


def sums(conversion: Conversion) -> tuple[int, int, int, int]:
    counts = list(conversion.splits.values())
    return (
        sum(count.pictures_in for count in counts),
        sum(count.boxes_in for count in counts),
        sum(count.pictures_out for count in counts),
        sum(count.boxes_out for count in counts),
    )


REAL = [
    ("bccd", "bccd/BCCD", "voc", 0),
    ("coco128_yolo", "coco128_yolo.yaml", "", 2),
    ("chess_pieces", "chess_pieces/dataset/Chess_pieces", "yolo", 1),
    ("hand_fingers5", "hand_fingers5", "yolo", 0),
    ("aerial_cars", "aerial_cars", "yolo", 0),
]


@pytest.mark.medium
@pytest.mark.parametrize("form", list(TARGETS))
@pytest.mark.parametrize(("name", "place", "layout", "num_backgrounds"), REAL)
def test_real_data_converts_with_the_counts_of_its_source(
    data_dir: Path, tmp_path: Path, form: str, name: str, place: str, layout: str, num_backgrounds: int
) -> None:
    pictures, boxes = stated_counts(data_dir / name)
    no_area = 2 if name == "bccd" else 0
    if layout:
        data_file = read_layout(data_dir / place, layout)
    else:
        text = f"path: {data_dir}/coco128_yolo\ntrain: images/train2017\nval: images/val2017\n"
        text += f"labels: object_detection/labels\nnames: {data_dir}/weights/coco.names\n"
        (tmp_path / place).write_text(text)
        data_file = load_data_file(tmp_path / place)

    conversion = convert_data(data_file, TARGETS[form], tmp_path / "out")
    again = convert_data(load_data_file(conversion.data_files[0]), TARGETS["yolo"], tmp_path / "again")

    assert sums(conversion) == (pictures, boxes, pictures, boxes - no_area)
    assert sums(again) == (pictures, boxes - no_area, pictures, boxes - no_area)
    assert sum(len(counts.backgrounds) for counts in conversion.splits.values()) == num_backgrounds
    assert len(conversion.problems) == no_area
    assert again.problems == ()
