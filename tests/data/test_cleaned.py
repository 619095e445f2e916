"""A cleaned copy checks clean, loses nothing that is good, and leaves its source alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from yoloslim.data.annotations import Kind
from yoloslim.data.check import VERDICTS, Report, check
from yoloslim.data.cleaned import write_cleaned
from yoloslim.data.datafile import load_data_file
from yoloslim.errors import DataError, OutputError

GOOD = "0 .3 .4 .3 .5\n1 .7 .5 .4 .4\n"
XML = """<annotation><size><width>{}</width><height>48</height></size>
<object><name>car</name><difficult>1</difficult><bndbox><xmin>5</xmin><ymin>6.5</ymin><xmax>{}</xmax><ymax>40</ymax>
</bndbox></object><object><name>bus</name><bndbox><xmin>20</xmin><ymin>6</ymin><xmax>60</xmax><ymax>44</ymax></bndbox>
</object></annotation>"""


def put_picture(path: Path, seed: int) -> None:
    """Writes a picture of 64x48 like no other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    patches = np.random.default_rng(seed).integers(0, 255, (5, 6, 3), np.uint8)
    cv2.imwrite(str(path), cv2.resize(patches, (64, 48), interpolation=cv2.INTER_CUBIC))


def put_label(folder: Path, place: str, text: str) -> None:
    path = folder / "labels" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set in YOLO txt without faults: six pictures to train on, three to measure on."""
    source = tmp_path / "source"
    for number in range(9):
        split = "train" if number < 6 else "val"
        put_picture(source / f"images/{split}/{number}.png", number)
        put_label(source, f"{split}/{number}.txt", GOOD)
    (source / "a.yaml").write_text("train: images/train\nval: images/val\nnames: [car, bus]\n")
    return source


def checked(data_file: Path) -> Report:
    return check(load_data_file(data_file))


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def errors(report: Report) -> list[Kind]:
    return [kind for kind in report.by_kind() if VERDICTS[kind].severity == "error"]


def pictures(report: Report, split: str) -> list[str]:
    return [inspection.sample.path.name for inspection in report.inspections[split]]


def test_everything_that_has_one_right_answer_is_mended(folder: Path, tmp_path: Path) -> None:
    bad = "2 .3 .4 .3 .5\n0 1.3 .4 .3 .5\n0 .3 .4 0 .5\nx\n0 .3 .4 .301 .5\n"
    put_label(folder, "train/0.txt", GOOD + bad)
    put_label(folder, "train/1.txt", "0 .95 .5 .2 .4\n")
    (folder / "images/train/2.png").write_bytes(b"no picture")
    (folder / "labels/train/3.txt").write_bytes(b"\xff\xfe\0")
    shutil.copy(folder / "images/train/4.png", folder / "images/val/again.png")
    put_label(folder, "val/again.txt", GOOD)
    before = contents(folder)

    report = checked(write_cleaned(checked(folder / "a.yaml"), tmp_path / "out"))

    assert report.problems == ()
    assert report.counts() == {"train": (3, 5), "val": (4, 8)}
    assert pictures(report, "train") == ["0.png", "1.png", "5.png"]
    (cut,) = report.datasets["train"][1].annotation.boxes.tolist()
    assert cut == pytest.approx([0.85 * 64, 0.3 * 48, 64, 0.7 * 48], abs=1e-4)
    assert contents(folder) == before


def test_what_needs_judgement_stays_and_is_told_again(folder: Path, tmp_path: Path) -> None:
    put_label(folder, "train/1.txt", "")
    cv2.imwrite(str(folder / "images/val/7.png"), cv2.flip(cv2.imread(str(folder / "images/train/0.png")), 1))
    report = checked(folder / "a.yaml")

    again = checked(write_cleaned(report, tmp_path / "out"))

    assert list(report.by_kind()) == list(again.by_kind()) == [Kind.NEARLY_LEAKED, Kind.NO_BOXES]


def test_of_equal_files_the_one_that_is_measured_on_stays(folder: Path, tmp_path: Path) -> None:
    for place in ("train/0", "train/5", "val/8"):
        shutil.copy(folder / "images/train/1.png", folder / f"images/{place}.png")

    report = checked(write_cleaned(checked(folder / "a.yaml"), tmp_path / "out"))

    assert pictures(report, "train") == ["2.png", "3.png", "4.png"]
    assert pictures(report, "val") == ["6.png", "7.png", "8.png"]


def test_an_equal_file_stays_where_the_other_one_has_no_use(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "images/train/1.png", folder / "images/val/8.png")
    (folder / "labels/val/8.txt").write_bytes(b"\xff\xfe\0")

    report = checked(write_cleaned(checked(folder / "a.yaml"), tmp_path / "out"))

    assert "1.png" in pictures(report, "train")
    assert pictures(report, "val") == ["6.png", "7.png"]


def test_a_split_without_labels_is_left_out_whole(folder: Path, tmp_path: Path) -> None:
    shutil.rmtree(folder / "labels/val")

    report = checked(write_cleaned(checked(folder / "a.yaml"), tmp_path / "out"))

    assert list(report.counts()) == ["train"]


def test_corners_are_kept(folder: Path, tmp_path: Path) -> None:
    put_label(folder, "train/1.txt", "0 .5 .1 .7 .3 .5 .5 .3 .3\n0 .5 .1 .7 .3 .5 .5 .3 .3\n")

    write_cleaned(checked(folder / "a.yaml"), tmp_path / "out")

    assert (tmp_path / "out/labels/train/1.txt").read_text() == "0 0.5 0.1 0.7 0.3 0.5 0.5 0.3 0.3\n"


def test_boxes_that_are_outside_by_rounding_stay_as_they_are(folder: Path, tmp_path: Path) -> None:
    put_label(folder, "train/1.txt", "0 -0.001 .5 .5 1 1 .5 .5 0\n1 .75 .5 .502 .5\n")

    write_cleaned(checked(folder / "a.yaml"), tmp_path / "out")

    first, second = (tmp_path / "out/labels/train/1.txt").read_text().splitlines()
    assert first == "0 -0.001 0.5 0.5 1 1 0.5 0.5 0"
    assert second.split()[3] == "1.001"


def test_xml_stays_xml_with_what_is_difficult(tmp_path: Path) -> None:
    for number, (width, right) in enumerate([(64, 30), (64, 5), (128, 30)]):
        put_picture(tmp_path / f"V/JPEGImages/{number}.png", number)
        path = tmp_path / f"V/Annotations/{number}.xml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(XML.format(width, right))
    (tmp_path / "a.yaml").write_text("path: V\ntrain: JPEGImages\nnames: [car, bus]\n")
    report = checked(tmp_path / "a.yaml")

    again = checked(write_cleaned(report, tmp_path / "out"))

    assert errors(report) == [Kind.NO_AREA, Kind.SIZE_MISMATCH]
    assert again.problems == ()
    assert again.counts() == {"train": (2, 3)}
    first = again.datasets["train"][0].annotation
    assert first.boxes.tolist() == [[5, 6.5, 30, 40], [20, 6, 60, 44]]
    assert first.difficult.tolist() == [True, False]


def test_coco_stays_coco(folder: Path, tmp_path: Path) -> None:
    boxes = [{"image_id": 1, "category_id": 1, "bbox": [5, 6, 20, width], "iscrowd": 0} for width in (30, 0)]
    content = {
        "images": [{"id": 1, "file_name": "6.png", "width": 64, "height": 48}],
        "annotations": [{"id": number, **box} for number, box in enumerate(boxes)],
        "categories": [{"id": 1, "name": "car"}],
    }
    (folder / "val.json").write_text(json.dumps(content))
    (folder / "a.yaml").write_text("train: images/val\nlabels: val.json\nnames: [car]\n")

    data_file = write_cleaned(checked(folder / "a.yaml"), tmp_path / "out")

    report = checked(data_file)
    assert (report.problems, report.counts()) == ((), {"train": (1, 1)})
    assert (tmp_path / "out/annotations/instances_train.json").is_file()


def test_pictures_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for number, place in enumerate(("a", "b")):
        put_picture(tmp_path / place / "images/1.png", number)
        put_label(tmp_path / place, "1.txt", GOOD if place == "a" else "1 .5 .5 .5 .5\n")
    (tmp_path / "a.yaml").write_text("train: [a/images, b/images]\nnames: [car, bus]\n")

    report = checked(write_cleaned(checked(tmp_path / "a.yaml"), tmp_path / "out"))

    assert (report.problems, report.counts()) == ((), {"train": (2, 3)})


def test_a_set_of_which_nothing_is_left_is_refused_and_nothing_is_written(folder: Path, tmp_path: Path) -> None:
    for path in folder.rglob("*.png"):
        path.write_bytes(b"no picture")

    with pytest.raises(DataError, match="expected pictures to keep, found none without a fault"):
        write_cleaned(checked(folder / "a.yaml"), tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_files_is_refused(folder: Path) -> None:
    with pytest.raises(OutputError, match="expected a new or an empty folder"):
        write_cleaned(checked(folder / "a.yaml"), folder)


@pytest.mark.medium
def test_the_cleaned_blood_cells_have_no_errors_and_all_other_boxes(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YOLOSLIM_TEST_DATA", str(data_dir))
    example = Path(__file__).resolve().parents[2] / "examples" / "bccd.yaml"
    report = checked(example)

    again = checked(write_cleaned(report, tmp_path / "out"))

    assert errors(report) == [Kind.NO_AREA]
    assert errors(again) == []
    num_repeated = len(report.by_kind()[Kind.REPEATED])
    assert sum(boxes for _, boxes in again.counts().values()) == 4888 - 2 - num_repeated
