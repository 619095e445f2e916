from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoloslim.data.datafile import load_data_file
from yoloslim.data.dataset import Dataset, load_dataset
from yoloslim.data.formats.coco import read_coco
from yoloslim.errors import DataError

NAMES = ("car", "bus")
SIZE = (20, 10)
PNG = cv2.imencode(".png", np.zeros((10, 20, 3), np.uint8))[1].tobytes()


def an_image(number: int, name: Any, width: int = 20, height: int = 10) -> dict[str, Any]:
    return {"id": number, "file_name": name, "width": width, "height": height}


def an_annotation(image: Any = 1, category: Any = 7, bbox: Any = (2, 3, 4, 5), **more: Any) -> dict[str, Any]:
    return {"id": 50, "image_id": image, "category_id": category, "bbox": bbox, **more}


def put(folder: Path, *annotations: Any, images: Any = None, categories: Any = None, name: str = "a.json") -> Path:
    """Writes a COCO json with one picture, and categories whose ids have a gap and are out of order."""
    content = {
        "images": [an_image(1, "a.png")] if images is None else images,
        "annotations": list(annotations),
        "categories": [{"id": 90, "name": "car"}, {"id": 7, "name": "bus"}] if categories is None else categories,
    }
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def put_pictures(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(PNG)


def load(folder: Path, text: str) -> Dataset:
    (folder / "a.yaml").write_text(text, encoding="utf-8")
    return load_dataset(load_data_file(folder / "a.yaml"), "train")


def test_boxes_are_corner_and_size_in_pixels_and_classes_go_by_name(tmp_path: Path) -> None:
    path = put(tmp_path, an_annotation(bbox=[2, 3, 4.5, 5]), an_annotation(category=90, bbox=[0, 0, 20, 10]))

    reading = read_coco(path, NAMES).read("a.png", SIZE)

    assert reading.problems == ()
    assert reading.objects is not None
    assert [found.xyxy for found in reading.objects] == [(2, 3, 6.5, 8), (0, 0, 20, 10)]
    assert [found.class_id for found in reading.objects] == [1, 0]


def test_crowds_and_ignored_objects_are_difficult(tmp_path: Path) -> None:
    flags: list[dict[str, Any]] = [{"iscrowd": 1}, {"ignore": 1}, {"ignore": True, "iscrowd": 0}, {"iscrowd": 0}, {}]
    path = put(tmp_path, *(an_annotation(**flag) for flag in flags))

    reading = read_coco(path, NAMES).read("a.png", SIZE)

    assert reading.annotation is not None
    assert reading.annotation.difficult.tolist() == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("mask", "corners"),
    [
        ([[2, 3, 6, 3, 6, 8, 2, 8]], (2, 3, 6, 3, 6, 8, 2, 8)),
        ([[4, 3, 6, 5, 4, 8, 2, 6]], (4, 3, 6, 5, 4, 8, 2, 6)),
        ([[4, 3, 6, 5, 4, 18, 2, 6]], None),  # of another box
        ([[4, 3, 6, 5, 4, "8", 2, 6]], None),
        ([[4, 3, 6, 5, 4, 8]], None),
        ([[2, 3, 6, 3, 6, 8, 2, 8], [0, 0, 1, 1, 2, 2]], None),
        ({"counts": [3], "size": [10, 20]}, None),
        ([], None),
    ],
)
def test_a_mask_of_four_points_gives_the_corners(tmp_path: Path, mask: Any, corners: Any) -> None:
    path = put(tmp_path, an_annotation(segmentation=mask))

    (found,) = read_coco(path, NAMES).read("a.png", SIZE).objects or ()

    assert found.xyxy == (2, 3, 6, 8)
    assert found.corners == corners


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (an_annotation(category=8), "category_id 8 is not among the categories"),
        (an_annotation(bbox=[2, 3, 0, 5]), "the box has no area (x=2 y=3 x+w=2 y+h=8)"),
        (an_annotation(bbox=[2, 8, 4, -5]), "the box has no area"),
        (an_annotation(bbox=[2, 3, 40, 5]), "x+w=42 is outside the picture (20x10)"),
        (an_annotation(bbox=[2, 3, 4]), "expected bbox = [x, y, w, h], found [2, 3, 4]"),
        (an_annotation(bbox=[2, 3, 4, "x"]), "bbox: expected a number, found 'x'"),
        (an_annotation(bbox=[2, 3, 4, float("nan")]), "bbox: expected a finite number, found nan"),
        (an_annotation(bbox=[2, 3, 4, None]), "bbox: expected a number, found None"),
        ({"id": 50, "image_id": 1, "category_id": 7}, "expected bbox = [x, y, w, h], found None"),
    ],
)
def test_a_bad_box_is_left_out_and_told_with_its_picture_and_id(tmp_path: Path, bad: Any, message: str) -> None:
    path = put(tmp_path, an_annotation(), bad, an_annotation(category=90))

    reading = read_coco(path, NAMES).read("a.png", SIZE)

    assert reading.annotation is not None
    assert reading.annotation.class_ids.tolist() == [1, 0]
    (problem,) = reading.problems
    assert str(problem).startswith(f"{path}: a.png, annotation 50: {message}")


def test_a_class_that_the_data_file_does_not_name_is_told(tmp_path: Path) -> None:
    reading = read_coco(put(tmp_path, an_annotation()), ("car", "van")).read("a.png", SIZE)

    assert reading.objects == ()
    assert "class 'bus' is not among the data file's names" in str(reading.problems[0])


def test_categories_of_other_names_are_taken_by_their_order_where_there_are_as_many(tmp_path: Path) -> None:
    labels = read_coco(put(tmp_path, an_annotation(), an_annotation(category=90)), ("0", "1"))

    reading = labels.read("a.png", SIZE)

    assert reading.annotation is not None
    assert reading.annotation.class_ids.tolist() == [0, 1]
    assert "taken by their order (bus is 0, ...)" in labels.notes[0]


def test_annotations_of_no_picture_are_told(tmp_path: Path) -> None:
    labels = read_coco(put(tmp_path, an_annotation(image=9), an_annotation(image=[1]), 3), NAMES)

    assert [str(problem).removeprefix(f"{labels.path}: ") for problem in labels.problems] == [
        "annotation 50: image_id 9 is not among the images; the box is left out",
        "annotation 50: image_id [1] is not among the images; the box is left out",
        "annotation number 3: image_id None is not among the images; the box is left out",
    ]


def test_a_size_that_is_not_the_pictures_is_told_and_the_boxes_are_kept(tmp_path: Path) -> None:
    labels = read_coco(put(tmp_path, an_annotation(), images=[an_image(1, "a.png", 40, 20)]), NAMES)

    reading = labels.read("a.png", SIZE)

    assert len(reading.objects or ()) == 1
    assert "says that a.png is 40x20, but the picture is 20x10" in str(reading.problems[0])


@pytest.mark.parametrize(
    "name", ["../a.png", "b/../../a.png", "..\\a.png", "/etc/a.png", "C:\\a.png", "", "  ", None, 7]
)
def test_a_file_name_that_climbs_out_or_is_absolute_is_refused_with_its_boxes(tmp_path: Path, name: Any) -> None:
    images = [an_image(1, name), an_image(2, "b.png")]

    labels = read_coco(put(tmp_path, an_annotation(), an_annotation(image=2), images=images), NAMES)

    assert list(labels.pictures) == ["b.png"]
    (problem,) = labels.problems
    assert "image 1: file_name: expected the name of a picture inside the pictures' folder, found" in str(problem)
    assert str(problem).endswith("the picture and its 1 boxes are left out")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"a\.json:1: expected a COCO json file, found broken json"),
        (
            b'{"images": [\n{"id": 1, "file_',
            r"a\.json:2: expected a COCO json file, found broken json \(.*column \d+\)",
        ),
        (b"\xff\xd8\xff\xe0", "found content that is refused"),
        (b"[" * 100_000, "found content that is refused"),
        (b"[]", "found no object in it"),
        (b'{"images": []}', "with lists of images, annotations, categories, found images"),
        (b'{"images": [], "annotations": {}, "categories": []}', "with lists of"),
        (
            b'{"images": [], "annotations": [], "categories": [{"id": "a", "name": "x"}]}',
            "categories: expected a whole",
        ),
        (b'{"images": [], "annotations": [], "categories": [{"id": 1}]}', "categories: expected a whole"),
    ],
)
def test_a_file_that_is_no_coco_json_is_an_error(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.json").write_bytes(content)

    with pytest.raises(DataError, match=message):
        read_coco(tmp_path / "a.json", NAMES)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-3, 99) | st.floats() | st.sampled_from(["a.png", "car", "../x"]),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from("id image_id file_name bbox category_id name segmentation".split()), inner
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_an_annotation_is_it_is_a_box_or_told(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    folder = tmp_path_factory.mktemp("coco")
    path = put(folder, content, an_annotation(bbox=content), images=[content, an_image(1, "a.png")])

    labels = read_coco(path, NAMES)

    reading = labels.read("a.png", SIZE)
    assert reading.objects or reading.problems or labels.problems


# ---- as a data set ---------------------------------------------------------------------------------------------------


def test_a_json_alone_is_a_split_with_its_pictures_and_names(tmp_path: Path) -> None:
    images = [an_image(1, "a.png"), an_image(2, "sub/b.png")]
    put(tmp_path, an_annotation(image=2), images=images, name="set/annotations/instances_train2017.json")
    put_pictures(tmp_path / "set" / "train2017", "a.png", "sub/b.png", "unnamed.png")

    dataset = load(tmp_path, "path: set\ntrain: annotations/instances_train2017.json\nformat: coco\n")
    empty, one = dataset

    assert dataset.names == ("bus", "car")
    assert dataset.format.name == "coco"
    assert [sample.path.relative_to(tmp_path).as_posix() for sample in dataset.samples] == [
        "set/train2017/a.png",
        "set/train2017/sub/b.png",
    ]
    assert empty.annotation is not None
    assert one.annotation is not None
    assert (len(empty.annotation), one.annotation.class_ids.tolist()) == (0, [0])
    assert empty.problems == one.problems == ()


@pytest.mark.parametrize(
    "text",
    [
        "train: pictures\nlabels: b.json",
        "train: pictures\nlabels_train: b.json\nformat: coco",
        "train: list.txt\nlabels_train: b.json",
        "train: [pictures, list.txt]\nlabels_train: b.json",
        "train: pictures\nlabels: folder\nformat: coco",
        "train: roboflow\nformat: coco",
        "train: roboflow/_annotations.coco.json",
        "train: b.json\npath: pictures",
    ],
)
def test_pictures_are_matched_with_their_labels(tmp_path: Path, text: str) -> None:
    put_pictures(tmp_path, "pictures/a.png", "roboflow/a.png")
    for name in ("b.json", "folder/b.json", "roboflow/_annotations.coco.json"):
        put(tmp_path, an_annotation(), name=name)
    (tmp_path / "list.txt").write_text("pictures/a.png\n")

    dataset = load(tmp_path, f"{text}\nnames: [car, bus]\n")

    assert {(len(loaded.annotation or ()), loaded.problems) for loaded in dataset} == {(1, ())}
    assert dataset.problems == ()


def test_pictures_without_labels_and_labels_without_pictures_are_told(tmp_path: Path) -> None:
    put_pictures(tmp_path, "p/a.png", "p/sub/a.png", "p/c.png")
    put(tmp_path, images=[an_image(1, "a.png"), an_image(2, "gone.png")], name="b.json")

    dataset = load(tmp_path, "train: p\nlabels: b.json\nnames: [car, bus]\n")

    assert [sample.path.name for sample in dataset.samples] == ["a.png"]
    assert [str(problem).replace(f"{tmp_path}/", "") for problem in dataset.problems] == [
        "p/c.png: b.json does not name this picture; it is left out",
        "p/sub/a.png: b.json has one a.png, taken to be p/a.png; this picture is left out",
        "b.json: 1 of the pictures that it names are not in p (first: gone.png); they are left out",
    ]


def test_the_longest_name_that_ends_a_path_is_the_pictures(tmp_path: Path) -> None:
    put_pictures(tmp_path, "p/x/a.png", "p/y/a.png")
    images = [an_image(1, "y/a.png"), an_image(2, "x/a.png")]
    put(tmp_path, an_annotation(image=1), images=images, name="b.json")

    x, y = load(tmp_path, "train: p\nlabels: b.json\nnames: [car, bus]\n")

    assert (len(x.annotation or ()), len(y.annotation or ())) == (0, 1)


def test_names_are_relative_to_the_folder_that_fits_most_pictures(tmp_path: Path) -> None:
    put_pictures(tmp_path, "t/a.png", "t/b.png", "t/t/a.png")
    images = [an_image(number, name) for number, name in enumerate(["a.png", "b.png", "t/a.png"])]
    put(tmp_path, an_annotation(image=2), images=images, name="b.json")

    dataset = load(tmp_path, "train: t\nlabels: b.json\nnames: [car, bus]\n")

    assert dataset.problems == ()
    assert [len(loaded.annotation or ()) for loaded in dataset] == [0, 0, 1]


def test_a_single_class_data_set_has_only_the_first_class(tmp_path: Path) -> None:
    put_pictures(tmp_path, "a.png")
    put(tmp_path, an_annotation())

    (loaded,) = load(tmp_path, "train: a.json\nsingle_class: true\nnames: [car, bus]\n")

    assert loaded.annotation is not None
    assert loaded.annotation.class_ids.tolist() == [0]


def test_names_with_blanks_line_breaks_and_other_alphabets_are_found(tmp_path: Path) -> None:
    names = ["a b.png", "a\nb.png", "żółć/猫.png"]
    put_pictures(tmp_path / "images", *names)
    put(tmp_path, images=[an_image(number, name) for number, name in enumerate(names)])

    dataset = load(tmp_path, "train: a.json\n")

    assert [loaded.problems for loaded in dataset] == [(), (), ()]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "train: a.json\n",
            r"a\.json: none of the first 1 pictures that it names was found; the first is 'a\.png': name",
        ),
        (
            "train: p\nformat: coco\n",
            "expected one label file for the pictures of .*p, found 0 json files in .*p: name",
        ),
        (
            "train: a.json\nformat: voc\nnames: [x]\n",
            r"format says voc, but .*a\.json is a label file for a whole split",
        ),
        ("train: p\nlabels: broken.json\n", r"broken\.json:1: expected a COCO json file, found broken json"),
    ],
)
def test_a_split_whose_labels_or_pictures_are_not_found_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    put_pictures(tmp_path, "p/a.png")
    put(tmp_path)
    (tmp_path / "broken.json").write_text('{"images": ')

    with pytest.raises(DataError, match=message):
        load(tmp_path, text)


@pytest.mark.parametrize("count", [0, 1])
def test_a_list_of_no_category_is_an_error_and_one_of_one_is_a_class(tmp_path: Path, count: int) -> None:
    put_pictures(tmp_path, "a.png")
    put(tmp_path, categories=[{"id": 3, "name": "car"}][:count])

    if count:
        assert load(tmp_path, "train: a.json\n").names == ("car",)
        return
    with pytest.raises(DataError, match="categories: expected at least one, found none"):
        load(tmp_path, "train: a.json\n")
