from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from yoloslim.data import convert as convert_module
from yoloslim.data.annotations import Kind
from yoloslim.data.convert import Conversion, convert_data
from yoloslim.data.datafile import load_data_file
from yoloslim.data.dataset import load_dataset
from yoloslim.data.set_writer import Placing
from yoloslim.data.targets import TARGETS
from yoloslim.errors import DataError, OutputError

PNG = cv2.imencode(".png", np.zeros((50, 100, 3), np.uint8))[1].tobytes()
BOX = "1 0.5 0.5 0.2 0.4\n"  # 40 15 60 35 of a picture of 100x50
FORMS = tuple(TARGETS)


def put(folder: Path, **files: str | bytes) -> None:
    """Writes files; ``__`` in a name stands for a folder, the rest for itself; pictures where content is bytes."""
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def put_pictures(folder: Path, *names: str, labels: str = BOX) -> None:
    """Writes pictures under ``images/`` with a YOLO label each."""
    for name in names:
        for path, content in ((folder / "images" / name, PNG), (folder / "labels" / name, labels.encode())):
            path.parent.mkdir(parents=True, exist_ok=True)
            (path if content is PNG else path.with_suffix(".txt")).write_bytes(content)


def convert(folder: Path, text: str, form: str, placing: Placing = "list", names: Any = ("car", "bus")) -> Conversion:
    (folder / "in.yaml").write_text(f"{text}\nnames: {json.dumps(list(names))}\n", encoding="utf-8")
    return convert_data(load_data_file(folder / "in.yaml"), TARGETS[form], folder / "out", placing)


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def objects(data_file: Path, split: str = "train") -> dict[str, Any]:
    """Gives what a data set says, by name of the picture."""
    dataset = load_dataset(load_data_file(data_file), split)
    assert dataset.problems == ()
    return {sample.path.name: dataset.read_labels(sample, (100, 50)).objects for sample in dataset.samples}


# ---- what is written -------------------------------------------------------------------------------------------------


def test_lists_say_where_the_pictures_are_and_labels_are_written_beside(tmp_path: Path) -> None:
    put_pictures(tmp_path, "t/a.png", "t/b.png", "v/a.png")

    conversion = convert(tmp_path, "train: images/t\nval: images/v", "yolo")

    out = tmp_path / "out"
    assert tree(out) == [
        *("labels/train/a.txt", "labels/train/b.txt", "labels/val/a.txt"),
        *("out.data", "out.names", "out.yaml", "train.txt", "val.txt"),
    ]
    assert (out / "train.txt").read_text() == f"{tmp_path}/images/t/a.png\n{tmp_path}/images/t/b.png\n"
    assert (out / "labels/val/a.txt").read_text() == BOX.replace("0.50", "0.5")
    assert (out / "out.names").read_text() == "car\nbus\n"
    assert conversion.data_files == (out / "out.yaml", out / "out.data")
    assert conversion.problems == conversion.notes == ()


def test_both_data_files_say_the_same(tmp_path: Path) -> None:
    put_pictures(tmp_path, "t/a.png", "v/a.png", "s/a.png")

    convert(tmp_path, "train: images/t\nval: images/v\ntest: images/s", "voc")

    files = [load_data_file(tmp_path / "out" / name) for name in ("out.yaml", "out.data")]
    for name in ("names", "format", "splits"):
        assert getattr(files[0], name) == getattr(files[1], name)
    assert list(files[0].splits) == ["train", "val", "test"]


@pytest.mark.parametrize("placing", ["list", "link", "copy"])
@pytest.mark.parametrize("form", FORMS)
def test_what_is_written_is_a_data_set_with_the_same_boxes(tmp_path: Path, form: str, placing: Placing) -> None:
    put_pictures(tmp_path, "t/a.png", "t/sub/b.png", labels=BOX + "0 0.25 0.5 0.5 1\n")

    conversion = convert(tmp_path, "train: images/t", form, placing)

    found = objects(conversion.data_files[0])
    assert list(found) == ["a.png", "b.png"]
    for boxes in found.values():
        assert [box.class_id for box in boxes] == [1, 0]
        np.testing.assert_allclose([box.xyxy for box in boxes], [(40, 15, 60, 35), (0, 0, 50, 50)], atol=1e-6)
    is_link = {path.is_symlink() for path in (tmp_path / "out").rglob("*.png")}
    assert is_link == {"list": set(), "link": {True}, "copy": {False}}[placing]


def test_a_voc_data_set_with_its_pictures_is_laid_out_as_pascals(tmp_path: Path) -> None:
    put_pictures(tmp_path, "t/a.png", "v/a.png", "v/b.png")

    convert(tmp_path, "train: images/t\nval: images/v", "voc", "copy")

    assert tree(tmp_path / "out") == [
        *("Annotations/a-2.xml", "Annotations/a.xml", "Annotations/b.xml"),
        *("ImageSets/Main/train.txt", "ImageSets/Main/val.txt"),
        *("JPEGImages/a-2.png", "JPEGImages/a.png", "JPEGImages/b.png"),
        *("out.data", "out.names", "out.yaml", "train.txt", "val.txt"),
    ]
    assert (tmp_path / "out/ImageSets/Main/val.txt").read_text() == "a-2\nb\n"


def test_a_data_set_with_its_pictures_may_be_moved(tmp_path: Path) -> None:
    put_pictures(tmp_path, "t/a.png")
    convert(tmp_path, "train: images/t", "coco", "copy")

    (tmp_path / "out").rename(tmp_path / "moved")

    assert len(objects(tmp_path / "moved" / "out.yaml")["a.png"]) == 1


def test_single_class_is_carried_out(tmp_path: Path) -> None:
    put_pictures(tmp_path, "t/a.png")

    conversion = convert(tmp_path, "train: images/t\nsingle_class: true", "coco")

    assert load_data_file(conversion.data_files[0]).names == ("car",)
    assert [box.class_id for box in objects(conversion.data_files[0])["a.png"]] == [0]


def test_a_picture_that_is_listed_twice_still_is(tmp_path: Path) -> None:
    put_pictures(tmp_path, "t/a.png", "t/b.png")
    (tmp_path / "list.txt").write_text("images/t/a.png\nimages/t/b.png\nimages/t/a.png\n")

    counts = convert(tmp_path, "train: list.txt", "coco", "copy").splits["train"]

    lines = (tmp_path / "out/train.txt").read_text().splitlines()
    assert lines == ["images/train/a.png", "images/train/b.png", "images/train/a.png"]
    assert (counts.pictures_in, counts.pictures_out, counts.boxes_out) == (3, 3, 3)
    assert len(json.loads((tmp_path / "out/annotations/instances_train.json").read_text())["images"]) == 2


# ---- what is left out or changed -------------------------------------------------------------------------------------


def test_bad_boxes_are_counted_and_told_by_path(tmp_path: Path) -> None:
    put_pictures(tmp_path, "t/a.png", labels=BOX + "0 0.5 0.5 0 0.1\n0 0.5 0.5 0.1 0.1\n7 0.5 0.5 0.1 0.1\nx\n")

    conversion = convert(tmp_path, "train: images/t", "voc")

    counts = conversion.splits["train"]
    assert (counts.boxes_in, counts.boxes_out) == (5, 2)
    assert counts.left_out == Counter({Kind.NO_AREA: 1, Kind.UNKNOWN_CLASS: 1, Kind.MALFORMED: 1})
    assert [str(problem).partition(": ")[0] for problem in conversion.problems] == [
        f"{tmp_path}/labels/t/a.txt:{line}" for line in (2, 4, 5)
    ]


def test_pictures_without_objects_are_kept_and_told(tmp_path: Path) -> None:
    put_pictures(tmp_path, "t/a.png")
    put_pictures(tmp_path, "t/empty.png", labels="")
    put_pictures(tmp_path, "t/none.png")
    (tmp_path / "labels/t/none.txt").unlink()

    conversion = convert(tmp_path, "train: images/t", "yolo")

    counts = conversion.splits["train"]
    assert [path.name for path in counts.backgrounds] == ["empty.png", "none.png"]
    assert (counts.pictures_in, counts.pictures_out) == (3, 3)
    assert "1 of 3 pictures have no label file, taken as background (first: " in conversion.notes[0]
    assert conversion.notes[1] == f"train: 2 of 3 pictures have no objects (first: {tmp_path}/images/t/empty.png)"
    assert (tmp_path / "out/labels/train/none.txt").read_text() == ""


def test_pictures_and_labels_that_cannot_be_read_are_left_out_and_told(tmp_path: Path) -> None:
    put_pictures(tmp_path, "t/a.png", "t/cut.png", "t/binary.png")
    (tmp_path / "images/t/cut.png").write_bytes(PNG[:-20])
    (tmp_path / "labels/t/binary.txt").write_bytes(b"\xff\xd8")
    (tmp_path / "list.txt").write_text("images/t/a.png\nimages/t/cut.png\nimages/t/binary.png\nimages/t/gone.png\n")

    conversion = convert(tmp_path, "train: list.txt", "coco")

    counts = conversion.splits["train"]
    assert (counts.pictures_in, counts.pictures_out) == (4, 1)
    assert counts.left_out == Counter({Kind.UNREADABLE_PICTURE: 2, Kind.UNREADABLE_LABELS: 1})
    assert {problem.path.name for problem in conversion.problems} == {"cut.png", "binary.txt", "gone.png"}


def test_difficult_boxes_survive_where_they_can_be_marked_and_are_left_out_where_not(tmp_path: Path) -> None:
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>"
    difficult = f"<object><name>bus</name><difficult>1</difficult>{box}</object>"
    put_pictures(tmp_path, "t/a.png")
    (tmp_path / "labels/t/a.xml").write_text(
        f"<annotation>{difficult}<object><name>car</name>{box}</object></annotation>"
    )
    text = "train: images/t\nlabels: labels/t\nformat: voc"

    for form in ("coco", "voc"):
        converted = convert(tmp_path, text, form)
        assert [box.difficult for box in objects(converted.data_files[0])["a.png"]] == [True, False]
        (tmp_path / "out").rename(tmp_path / form)
    converted = convert(tmp_path, text, "yolo")

    counts = converted.splits["train"]
    assert (counts.boxes_in, counts.boxes_out, counts.left_out) == (2, 1, Counter({Kind.DIFFICULT: 1}))
    assert str(converted.problems[0]) == (f"{tmp_path}/images/t/a.png: yolo cannot mark boxes as difficult: 1 left out")


def test_corners_that_a_form_has_not_become_upright_boxes_and_are_told_where_they_were_not(tmp_path: Path) -> None:
    upright, turned = "0 .2 .2 .4 .2 .4 .6 .2 .6\n", "1 .5 .1 .7 .3 .5 .5 .3 .3\n"
    put_pictures(tmp_path, "t/a.png", labels=upright + turned)

    counts = convert(tmp_path, "train: images/t", "voc").splits["train"]

    assert (counts.boxes_out, counts.left_out, counts.changed) == (2, Counter(), Counter({Kind.CORNERS: 1}))


@pytest.mark.parametrize("form", FORMS)
def test_boxes_that_reach_over_the_border_are_cut_where_they_must_be_inside_and_told(tmp_path: Path, form: str) -> None:
    put_pictures(tmp_path, "t/a.png", labels="0 0.95 0.5 0.3 0.2\n0 0.5 0.5 1.005 0.2\n")

    conversion = convert(tmp_path, "train: images/t", form)

    reaching, rounded = objects(conversion.data_files[0])["a.png"]
    is_cut = form in ("voc", "coco")
    assert reaching.xyxy == pytest.approx((80, 20, 100 if is_cut else 110, 30))
    assert rounded.xyxy == pytest.approx((-0.25, 20, 100.25, 30))
    assert conversion.splits["train"].changed == (Counter({Kind.CUT: 1}) if is_cut else Counter())


def test_pictures_that_the_labels_do_not_name_are_counted(tmp_path: Path) -> None:
    put_pictures(tmp_path, "t/a.png", "t/b.png")
    annotation = {"id": 1, "image_id": 5, "category_id": 1, "bbox": [1, 2, 3, 4]}
    content = {"images": [{"id": 1, "file_name": name} for name in ("a.png", "../c.png")], "annotations": [annotation]}
    (tmp_path / "a.json").write_text(json.dumps({**content, "categories": [{"id": 1, "name": "car"}]}))

    counts = convert(tmp_path, "train: images/t\nlabels: a.json", "yolo").splits["train"]

    assert (counts.pictures_in, counts.pictures_out, counts.boxes_in, counts.boxes_out) == (3, 1, 1, 0)
    assert counts.left_out == Counter({Kind.UNLISTED: 1, Kind.BAD_FILE_NAME: 1, Kind.MALFORMED: 1})


def test_a_split_whose_pictures_are_not_there_is_left_out_and_told(tmp_path: Path) -> None:
    put_pictures(tmp_path, "t/a.png")

    conversion = convert(tmp_path, "train: images/t\ntest: nowhere", "yolo")

    assert list(conversion.splits) == ["train"]
    assert "test: no such file or folder" in conversion.notes[0]
    assert conversion.notes[0].endswith("; test is left out")


# ---- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_names_with_blanks_and_other_alphabets_are_written(tmp_path: Path, form: str) -> None:
    names = ["a b.png", "żółć 猫.png", "& <c>.png"]
    put_pictures(tmp_path / "s p", *(f"t/{name}" for name in names))

    conversion = convert(tmp_path, "train: s p/images/t", form, names=("no", 'ż "& <猫>'))

    found = objects(conversion.data_files[0])
    assert {name: len(boxes) for name, boxes in found.items()} == dict.fromkeys(sorted(names), 1)
    assert load_data_file(conversion.data_files[1]).names == ("no", 'ż "& <猫>')


def test_a_name_with_a_line_break_is_told_in_a_list_and_mended_in_a_copy(tmp_path: Path) -> None:
    put_pictures(tmp_path, "t/a\nb.png", "t/c\\d.png", "t/e.png")

    listed = convert(tmp_path, "train: images/t", "yolo").splits["train"]
    (tmp_path / "out").rename(tmp_path / "listed")
    copied = convert(tmp_path, "train: images/t", "voc", "copy")

    assert (listed.pictures_in, listed.pictures_out) == (3, 1)
    assert listed.left_out == Counter({Kind.UNLISTABLE: 2})
    assert list(objects(copied.data_files[0])) == ["a_b.png", "c_d.png", "e.png"]


def test_two_label_files_of_one_name_are_refused_in_lists_and_numbered_in_copies(tmp_path: Path) -> None:
    put_pictures(tmp_path, "t/a.png", "s/A.png")

    with pytest.raises(DataError, match=r"s/A\.png: its label file would be that of .*t/a\.png, labels/tr"):
        convert(tmp_path, "train: [images/t, images/s]", "yolo")
    assert not (tmp_path / "out").exists()

    for form in ("yolo", "coco"):
        convert(tmp_path, "train: [images/t, images/s]", form, "link")
        assert (tmp_path / "out/train.txt").read_text() == "images/train/a.png\nimages/train/A-2.png\n"
        (tmp_path / "out").rename(tmp_path / form)


@pytest.mark.parametrize("name", ["a\nb", "a\x0bb", " a", "a\t"])
def test_class_names_that_a_names_file_cannot_hold_are_refused(tmp_path: Path, name: str) -> None:
    put_pictures(tmp_path, "t/a.png")

    with pytest.raises(DataError, match=r"which a \.names file cannot hold: rename it"):
        convert(tmp_path, "train: images/t", "yolo", names=("x", name))


def test_two_classes_of_one_name_are_refused_where_classes_go_by_name(tmp_path: Path) -> None:
    put_pictures(tmp_path, "t/a.png")

    for form in ("voc", "coco"):
        with pytest.raises(DataError, match=f"two classes are called 'car', but {form} knows classes by name"):
            convert(tmp_path, "train: images/t", form, names=("car", "car"))
    assert convert(tmp_path, "train: images/t", "yolo", names=("car", "car")).splits["train"].boxes_out == 1


# ---- whole or not at all ---------------------------------------------------------------------------------------------


def test_a_folder_with_files_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    put_pictures(tmp_path, "t/a.png")
    put(tmp_path, out__mine="mine")

    with pytest.raises(OutputError, match="out: expected a new or an empty folder, found files in it"):
        convert(tmp_path, "train: images/t", "yolo")

    assert tree(tmp_path / "out") == ["mine"]


def test_a_conversion_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_pictures(tmp_path, "t/a.png", "t/b.png")
    reads = iter([None])
    monkeypatch.setattr(
        convert_module, "fitted", lambda *arguments: next(reads) or (_ for _ in ()).throw(KeyError("x"))
    )

    with pytest.raises(KeyError):
        convert(tmp_path, "train: images/t", "yolo")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "in.yaml", "labels"]


def test_a_split_of_which_nothing_can_be_converted_is_an_error(tmp_path: Path) -> None:
    put_pictures(tmp_path, "t/a.png")
    (tmp_path / "images/t/a.png").write_bytes(b"no")

    with pytest.raises(DataError, match=r"train: none of its 1 pictures can be converted \(.*a\.png: expected"):
        convert(tmp_path, "train: images/t", "yolo")


@pytest.mark.medium
def test_a_picture_of_12000_by_9000_is_converted(tmp_path: Path) -> None:
    put_pictures(tmp_path, "t/a.jpg", labels="0 0.5 0.5 0.0001 0.0001\n")
    cv2.imwrite(str(tmp_path / "images/t/a.jpg"), np.zeros((9000, 12000), np.uint8))

    convert(tmp_path, "train: images/t", "voc")

    text = (tmp_path / "out/Annotations/train/a.xml").read_text()
    assert "<width>12000</width><height>9000</height>" in text
    assert "<xmin>5999.4</xmin><ymin>4499.55</ymin><xmax>6000.6</xmax><ymax>4500.45</ymax>" in text


# ---- COCO's own tools ------------------------------------------------------------------------------------------------


def test_pycocotools_loads_what_is_written_with_its_counts_and_areas(tmp_path: Path) -> None:
    put_pictures(tmp_path, "t/a.png", labels=BOX + "0 0.25 0.5 0.5 1\n1 .5 .1 .7 .3 .5 .5 .3 .3\n")
    put_pictures(tmp_path, "t/sub/b.png")
    put_pictures(tmp_path, "t/sub/c.png", labels="")
    convert(tmp_path, "train: images/t", "coco")

    coco = COCO(str(tmp_path / "out/annotations/instances_train.json"))

    assert [image["file_name"] for image in coco.loadImgs(coco.getImgIds())] == ["a.png", "sub/b.png", "sub/c.png"]
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == ["car", "bus"]
    assert [len(coco.getAnnIds(imgIds=image)) for image in coco.getImgIds()] == [3, 1, 0]
    areas = [annotation["area"] for annotation in coco.loadAnns(coco.getAnnIds(imgIds=1))]
    assert areas == pytest.approx([20 * 20, 50 * 50, 40 * 20 / 2])


def test_pycocotools_ignores_what_was_difficult(tmp_path: Path) -> None:
    box = "<bndbox><xmin>{0}</xmin><ymin>2</ymin><xmax>{1}</xmax><ymax>40</ymax></bndbox>"
    boxes = ((0, 1, 30), (1, 50, 90))
    rows = "".join(
        f"<object><name>car</name><difficult>{difficult}</difficult>{box.format(left, right)}</object>"
        for difficult, left, right in boxes
    )
    put_pictures(tmp_path, "t/a.png")
    (tmp_path / "labels/t/a.xml").write_text(f"<annotation>{rows}</annotation>")
    convert(tmp_path, "train: images/t\nlabels: labels/t\nformat: voc", "coco")
    truth = COCO(str(tmp_path / "out/annotations/instances_train.json"))

    rows = [(50, 40, 0.9), (1, 29, 0.8)]
    found = [{"image_id": 1, "category_id": 1, "bbox": [x, 2, w, 38], "score": score} for x, w, score in rows]
    evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()

    assert evaluation.eval["precision"][0, :, 0, 0, 2] == pytest.approx(1.0)
