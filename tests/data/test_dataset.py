from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from yoloslim.data.datafile import load_data_file
from yoloslim.data.dataset import Dataset, load_dataset
from yoloslim.errors import DataError

BOX = "1 0.5 0.5 0.2 0.2\n"
VOC = (
    "<annotation><object><name>bus</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>"
    "</object></annotation>"
)
PNG = cv2.imencode(".png", np.zeros((10, 20, 3), np.uint8))[1].tobytes()


def put(folder: Path, *files: str) -> None:
    """Writes files: a picture for a picture's name, a good label for a .txt under labels/ or a .xml."""
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(
            PNG if path.suffix in (".png", ".jpg") else VOC.encode() if path.suffix == ".xml" else BOX.encode()
        )


def load(folder: Path, text: str, split: str = "train") -> Dataset:
    (folder / "a.yaml").write_text(f"{text}\nnames: [car, bus]\n")
    return load_dataset(load_data_file(folder / "a.yaml"), split)


def label_paths(dataset: Dataset, folder: Path) -> list[str | None]:
    return [
        sample.label_path.relative_to(folder).as_posix() if sample.label_path else None for sample in dataset.samples
    ]


def test_a_folder_is_listed_sorted_with_its_subfolders_without_hidden_and_other_files(tmp_path: Path) -> None:
    put(tmp_path, "p/b.png", "p/a.jpg", "p/sub/C.JPG", "p/.hidden.png", "p/.h/x.png", "p/notes.csv", "p/b.txt")

    dataset = load(tmp_path, "train: p")

    assert [sample.path.relative_to(tmp_path / "p").as_posix() for sample in dataset.samples] == [
        "a.jpg",
        "b.png",
        "sub/C.JPG",
    ]


def test_a_folder_with_brackets_in_its_name_is_listed(tmp_path: Path) -> None:
    put(tmp_path, "p [1]/a.png")

    assert len(load(tmp_path, "train: 'p [1]'")) == 1


def test_a_list_is_kept_in_its_order_relative_to_itself_or_to_path(tmp_path: Path) -> None:
    put(tmp_path, "lists/b.png", "set/p/a.png")
    (tmp_path / "lists/train.txt").write_text(f"b.png\r\n\np\\a.png\n{tmp_path}/lists/b.png\n", encoding="utf-8-sig")

    dataset = load(tmp_path, "path: set\ntrain: ../lists/train.txt")

    paths = [os.path.relpath(sample.path.resolve(), tmp_path) for sample in dataset.samples]
    assert paths == ["lists/b.png", "set/p/a.png", "lists/b.png"]


def test_absolute_paths_of_another_machine_are_found_by_their_last_two_parts(tmp_path: Path) -> None:
    put(tmp_path, "p/a.png", "p/b.png")
    (tmp_path / "train.txt").write_text("/home/someone/set/p/a.png\n/home/someone/set/p/b.png\n")

    dataset = load(tmp_path, "train: train.txt")

    assert [sample.path for sample in dataset.samples] == [tmp_path / "p/a.png", tmp_path / "p/b.png"]
    assert any("2 absolute paths are not there" in note for note in dataset.notes)


def test_links_and_paths_that_climb_are_followed_in_data_files_and_lists(tmp_path: Path) -> None:
    put(tmp_path, "far/images/a.png", "far/labels/a.txt", "set/x.txt")
    (tmp_path / "set" / "images").symlink_to(tmp_path / "far" / "images")
    (tmp_path / "set" / "labels").symlink_to(tmp_path / "far" / "labels")
    (tmp_path / "far" / "list.txt").write_text(f"../far/images/a.png\n{tmp_path}/set/images/a.png\n")
    (tmp_path / "set" / "list.txt").symlink_to(tmp_path / "far" / "list.txt")

    for entry in ("images", "../far/images", f"{tmp_path}/far/images", "list.txt"):
        dataset = load(tmp_path / "set", f"train: {entry}")
        assert {len(loaded.annotation or ()) for loaded in dataset} == {1}


def test_several_entries_are_joined(tmp_path: Path) -> None:
    put(tmp_path, "a/1.png", "b/2.png", "c.png")

    assert [sample.path.name for sample in load(tmp_path, "train: [b, a, c.png]").samples] == [
        "2.png",
        "1.png",
        "c.png",
    ]


@pytest.mark.parametrize("with_path", [True, False])
def test_a_list_of_stems_is_read_as_pascals(tmp_path: Path, with_path: bool) -> None:
    put(tmp_path, "V/JPEGImages/x.1.jpg", "V/JPEGImages/y.png", "V/JPEGImages/z.jpg")
    put(tmp_path, "V/Annotations/x.1.xml", "V/Annotations/y.xml", "V/ImageSets/Main/train.txt")
    (tmp_path / "V/ImageSets/Main/train.txt").write_text("y\nx.1\n")

    dataset = load(
        tmp_path, "path: V\ntrain: ImageSets/Main/train.txt" if with_path else "train: V/ImageSets/Main/train.txt"
    )

    assert [sample.path.name for sample in dataset.samples] == ["y.png", "x.1.jpg"]
    assert label_paths(dataset, tmp_path) == ["V/Annotations/y.xml", "V/Annotations/x.1.xml"]
    assert dataset.format.name == "voc"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a list with one picture a line, found an empty file"),
        (b"a.jpg\nb.jpg\n", "none of the 2 pictures it lists exists; the first one is 'a.jpg', expected at"),
        (b"stem\n", "none of the 1 pictures it lists exists"),
        (b"\xff\xd8\xff", "expected a folder, a picture or a list of pictures, found binary data"),
    ],
)
def test_a_list_without_pictures_is_an_error(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "train.txt").write_bytes(content)

    with pytest.raises(DataError, match=rf"train\.txt: {message}"):
        load(tmp_path, "train: train.txt")


def test_a_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    put(tmp_path, "p/a.txt")

    with pytest.raises(DataError, match="p: expected a folder with pictures, found none in it"):
        load(tmp_path, "train: p")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("train: images/t", "labels/t/a.txt"),
        ("train: images", "labels/t/a.txt"),
        ("train: images/t\nlabels: other", "other/t/a.txt"),
        ("train: images\nlabels: other", "other/t/a.txt"),
        ("train: images/t\nlabels: flat", "flat/a.txt"),
        ("train: images/t\nlabels: other\nlabels_train: flat", "flat/a.txt"),
        ("train: list.txt\nlabels: other", "other/t/a.txt"),
        ("train: list.txt", "labels/t/a.txt"),
        ("train: plain", "plain/a.txt"),
        ("train: JPEGImages", "labels/a.txt"),
    ],
)
def test_the_label_of_a_picture_is_found(tmp_path: Path, text: str, label: str) -> None:
    put(tmp_path, "images/t/a.png", "plain/a.png", "plain/a.txt", "JPEGImages/a.png")
    put(tmp_path, "labels/t/a.txt", "labels/a.txt", "other/t/a.txt", "other/a.txt", "flat/a.txt")
    (tmp_path / "list.txt").write_text("images/t/a.png\n")

    assert label_paths(load(tmp_path, text), tmp_path) == [label]


def test_labels_beside_pictures_are_found_where_images_has_no_labels_folder(tmp_path: Path) -> None:
    put(tmp_path, "images/a.png", "images/a.txt")

    assert label_paths(load(tmp_path, "train: images"), tmp_path) == ["images/a.txt"]


def test_the_format_is_the_one_that_most_pictures_have_unless_stated(tmp_path: Path) -> None:
    put(tmp_path, "p/a.png", "p/b.png", "p/a.xml", "p/b.xml", "p/a.txt")

    assert load(tmp_path, "train: p").format.name == "voc"
    assert load(tmp_path, "train: p\nformat: yolo").format.name == "yolo"


def test_pictures_without_a_label_are_background_and_counted(tmp_path: Path) -> None:
    put(tmp_path, "images/a.png", "images/b.png", "labels/b.txt")

    dataset = load(tmp_path, "train: images")

    assert dataset.num_backgrounds == 1
    assert "1 of 2 pictures have no label file, taken as background (first: " in dataset.notes[0]
    annotation = dataset[0].annotation
    assert annotation is not None
    assert len(annotation) == 0


def test_a_split_without_any_label_is_a_problem_that_says_where_was_looked(tmp_path: Path) -> None:
    put(tmp_path, "images/a.png", "images/b.png", "other/c.png", "other/c.txt")
    (tmp_path / "labels").mkdir()

    (problem,) = load(tmp_path, "train: [images, other]").problems

    assert str(problem) == (
        f"{tmp_path}/a.yaml: train: none of 2 pictures has a label file (.txt, looked in {tmp_path}/labels): "
        "set `labels` to the folder of the labels"
    )


def test_a_sample_is_a_picture_with_its_boxes(tmp_path: Path) -> None:
    put(tmp_path, "images/a.png", "labels/a.txt")

    (loaded,) = load(tmp_path, "train: images")

    assert loaded.picture is not None
    assert loaded.picture.shape == (10, 20, 3)
    assert loaded.annotation is not None
    np.testing.assert_allclose(loaded.annotation.boxes, [[8, 4, 12, 6]], atol=1e-5)
    assert loaded.annotation.class_ids.tolist() == [1]
    assert loaded.problems == ()


def test_a_single_class_data_set_has_only_the_first_class(tmp_path: Path) -> None:
    put(tmp_path, "images/a.png", "labels/a.txt")
    (tmp_path / "labels/a.txt").write_text(BOX + "2 0.5 0.5 0.1 0.1\n")

    dataset = load(tmp_path, "train: images\nsingle_class: true")
    (loaded,) = dataset

    assert dataset.names == ("car",)
    assert loaded.annotation is not None
    assert loaded.annotation.class_ids.tolist() == [0]
    assert "class id 2 is outside 0..1" in str(loaded.problems[0])


def test_single_class_can_be_chosen_over_the_data_file(tmp_path: Path) -> None:
    put(tmp_path, "images/a.png", "labels/a.txt")
    (tmp_path / "a.yaml").write_text("train: images\nnames: [car, bus]\n")

    data_file = dataclasses.replace(load_data_file(tmp_path / "a.yaml"), single_class=True)

    assert load_dataset(data_file, "train").names == ("car",)


def test_a_damaged_picture_is_told_by_path_and_the_rest_is_read(tmp_path: Path) -> None:
    put(tmp_path, "images/a.png", "images/b.png", "labels/a.txt", "labels/b.txt")
    (tmp_path / "images/a.png").write_bytes(PNG[:-20])

    damaged, good = load(tmp_path, "train: images")

    assert (damaged.picture, damaged.annotation) == (None, None)
    assert str(damaged.problems[0]).startswith(f"{tmp_path}/images/a.png: the picture is cut off")
    assert good.problems == ()


def test_a_listed_picture_that_is_missing_is_told_by_path(tmp_path: Path) -> None:
    put(tmp_path, "images/a.png", "labels/a.txt")
    (tmp_path / "train.txt").write_text("images/a.png\nimages/gone.png\n")

    _, gone = load(tmp_path, "train: train.txt")

    assert [str(problem) for problem in gone.problems] == [f"{tmp_path}/images/gone.png: no such picture"]


def test_a_label_file_that_cannot_be_read_leaves_nothing_known_about_its_picture(tmp_path: Path) -> None:
    put(tmp_path, "images/a.png", "labels/a.txt")
    (tmp_path / "labels/a.txt").write_bytes(b"\xff\xfe")

    (loaded,) = load(tmp_path, "train: images\nsingle_class: yes")

    assert loaded.picture is not None
    assert loaded.annotation is None
    assert len(loaded.problems) == 1


def count(dataset: Dataset) -> tuple[int, int, list[str]]:
    """Pictures, boxes, and problems of a data set, everything read."""
    num_boxes, problems = 0, []
    for loaded in dataset:
        assert loaded.annotation is not None
        num_boxes += len(loaded.annotation)
        problems += [str(problem) for problem in loaded.problems]
    return len(dataset), num_boxes, problems


@pytest.mark.usefixtures("absolute_data_variable")
def test_coco128_has_its_pictures_and_boxes(tmp_path: Path) -> None:
    text = "path: ${YOLOSLIM_TEST_DATA}/coco128_yolo\ntrain: images/train2017\nval: images/val2017\n"
    text += "labels: object_detection/labels\nnames: ../weights/coco.names\n"
    (tmp_path / "coco128.yaml").write_text(text)
    data_file = load_data_file(tmp_path / "coco128.yaml")
    train, val = load_dataset(data_file, "train"), load_dataset(data_file, "val")

    assert count(train) == (128, 929, [])
    assert count(val) == (128, 898, [])
    assert (train.num_backgrounds, val.num_backgrounds, len(val.names)) == (2, 0, 80)
    assert data_file.notes == ()


@pytest.mark.usefixtures("absolute_data_variable")
def test_bccd_has_its_pictures_and_boxes_and_tells_its_two_without_area(tmp_path: Path) -> None:
    text = "path: ${YOLOSLIM_TEST_DATA}/bccd/BCCD\nnames: [RBC, WBC, Platelets]\nformat: voc\n"
    text += "".join(f"{split}: ImageSets/Main/{split}.txt\n" for split in ("train", "val", "test"))
    (tmp_path / "bccd.yaml").write_text(text)
    data_file = load_data_file(tmp_path / "bccd.yaml")
    train, val, test = (count(load_dataset(data_file, split)) for split in ("train", "val", "test"))

    assert (train[0], val[0], test[0]) == (205, 87, 72)
    assert train[1] + val[1] + test[1] == 4888 - 2
    problems = train[2] + val[2] + test[2]
    assert [Path(problem.partition(":")[0]).name for problem in problems] == [
        "BloodImage_00343.xml",
        "BloodImage_00338.xml",
    ]
    assert all("the box has no area" in problem for problem in problems)


def test_the_fingers_are_read_from_their_own_data_file_though_it_points_elsewhere(data_dir: Path) -> None:
    data_file = load_data_file(data_dir / "hand_fingers5" / "data.yaml")
    counts = [count(load_dataset(data_file, split)) for split in ("train", "val", "test")]

    assert [pictures for pictures, _, _ in counts] == [587, 167, 85]
    assert sum(boxes for _, boxes, _ in counts) == 840
    assert [problem for *_, problems in counts for problem in problems] == []
    assert len(data_file.notes) == 3


def test_the_aerial_cars_are_read_from_their_own_data_file(data_dir: Path) -> None:
    data_file = load_data_file(data_dir / "aerial_cars" / "data.yaml")
    counts = [count(load_dataset(data_file, split)) for split in ("train", "val", "test")]

    assert [pictures for pictures, _, _ in counts] == [321, 31, 15]
    assert sum(boxes for _, boxes, _ in counts) == 9548
    assert [problem for *_, problems in counts for problem in problems] == []


def test_the_chess_pieces_are_read_from_their_corners(data_dir: Path) -> None:
    data_file = load_data_file(data_dir / "chess_pieces" / "dataset" / "Chess_pieces" / "data.yaml.yaml")

    assert count(load_dataset(data_file, "val")) == (58, 386, [])
    assert load_dataset(data_file, "test").num_backgrounds == 0


@pytest.fixture
def absolute_data_variable(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable as examples use it, absolute, so that the working folder does not matter."""
    monkeypatch.setenv("YOLOSLIM_TEST_DATA", str(data_dir))


def test_dior_has_its_own_lists_and_folders_and_the_upright_boxes_are_read(tmp_path: Path) -> None:
    put(tmp_path, "JPEGImages-trainval/00001.jpg", "JPEGImages-test/00002.jpg")
    upright = VOC.replace("bus", "windmill")
    for folder, text in (("Horizontal Bounding Boxes", upright), ("Oriented Bounding Boxes", "<annotation/>")):
        (tmp_path / "Annotations" / folder).mkdir(parents=True)
        for stem in ("00001", "00002"):
            (tmp_path / "Annotations" / folder / f"{stem}.xml").write_text(text)
    (tmp_path / "train.txt").write_text("00001\n")
    (tmp_path / "test.txt").write_text("00002\n")
    (tmp_path / "a.yaml").write_text("train: train.txt\ntest: test.txt\nformat: dior\n")
    data_file = load_data_file(tmp_path / "a.yaml")

    for split, folder in (("train", "JPEGImages-trainval"), ("test", "JPEGImages-test")):
        (loaded,) = load_dataset(data_file, split)
        assert loaded.sample.path.parent.name == folder
        assert loaded.annotation is not None
        assert [data_file.names[class_id] for class_id in loaded.annotation.class_ids] == ["windmill"]
    assert len(data_file.names) == 20
