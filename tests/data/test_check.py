"""Every kind of fault that is planted in a data set is found, by its path, and nothing else is."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from yoloslim.data.annotations import CONVERSION_KINDS, Kind
from yoloslim.data.check import VERDICTS, Report, check
from yoloslim.data.datafile import load_data_file
from yoloslim.data.pictures import Picture
from yoloslim.errors import DataError

GOOD = "0 .3 .4 .3 .5\n1 .7 .5 .4 .4\n"
SPLITS = ("train", "val")


def scene(seed: int, width: int = 64, height: int = 48) -> Picture:
    """A picture like no other."""
    patches = np.random.default_rng(seed).integers(0, 255, (5, 6, 3), np.uint8)
    return np.asarray(cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set without faults: four pictures to train on, three to measure on."""
    for number, split in enumerate(["train"] * 4 + ["val"] * 3):
        picture, label = (tmp_path / kind / split / f"{number}.png" for kind in ("images", "labels"))
        for path in (picture, label):
            path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(picture), scene(number))
        label.with_suffix(".txt").write_text(GOOD)
    (tmp_path / "a.yaml").write_text("train: images/train\nval: images/val\nnames: [car, bus]\n")
    return tmp_path


def checked(folder: Path) -> Report:
    return check(load_data_file(folder / "a.yaml"))


def found(report: Report) -> list[tuple[Kind, str, str]]:
    """The kind, file and message of every problem, the worst first."""
    return [(kind, p.path.name, p.message) for kind, problems in report.by_kind().items() for p in problems]


def test_a_set_without_faults_has_no_problems(folder: Path) -> None:
    report = checked(folder)

    assert report.problems == ()
    assert report.counts() == {"train": (4, 8), "val": (3, 6)}


@pytest.mark.parametrize(
    ("line", "kind", "message"),
    [
        ("0 .3 .4 .3", Kind.MALFORMED, "expected `class cx cy w h`"),
        ("0 .3 four .3 .5", Kind.MALFORMED, "expected a number, found 'four'"),
        ("0 .3 nan .3 .5", Kind.MALFORMED, "expected a finite number"),
        ("2 .3 .4 .3 .5", Kind.UNKNOWN_CLASS, "class id 2 is outside 0..1"),
        ("-1 .3 .4 .3 .5", Kind.UNKNOWN_CLASS, "class id -1 is outside 0..1"),
        ("0 1.3 .4 .3 .5", Kind.OUTSIDE, "cx=1.3 is outside 0..1"),
        ("0 .3 .4 0 .5", Kind.NO_AREA, "the box has no area"),
        ("0 .3 .4 .301 .499", Kind.REPEATED, "repeats car 9.6 7.2 28.8 31.2"),
        ("0 .95 .4 .3 .5", Kind.OVER_BORDER, "reaches out of the picture (64x48)"),
    ],
)
def test_a_bad_box_is_told_by_its_label_file(folder: Path, line: str, kind: Kind, message: str) -> None:
    (folder / "labels/train/2.txt").write_text(f"{GOOD}{line}\n")

    ((its_kind, name, its_message),) = found(checked(folder))

    assert (its_kind, name) == (kind, "2.txt")
    assert message in its_message


def test_a_box_of_another_class_in_the_same_place_is_not_a_repeated_one(folder: Path) -> None:
    (folder / "labels/train/2.txt").write_text(f"{GOOD}1 .3 .4 .3 .5\n")

    assert checked(folder).problems == ()


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff\xe0 cut off"])
def test_a_picture_that_cannot_be_read_is_told(folder: Path, content: bytes) -> None:
    (folder / "images/val/5.png").write_bytes(content)

    report = checked(folder)

    ((kind, name, _),) = found(report)
    assert (kind, name) == (Kind.UNREADABLE_PICTURE, "5.png")
    assert report.counts()["val"] == (3, 4)


def test_the_truncated_picture_of_the_real_data_is_told(folder: Path, data_dir: Path) -> None:
    broken = (data_dir / "broken" / "kangaroo-00090-truncated.jpg").read_bytes()
    (folder / "images/train/3.png").write_bytes(broken)

    ((kind, name, message),) = found(checked(folder))

    assert (kind, name) == (Kind.UNREADABLE_PICTURE, "3.png")
    assert "cut off" in message


def test_labels_that_are_missing_empty_or_unreadable_are_told_apart(folder: Path) -> None:
    (folder / "labels/train/0.txt").unlink()
    (folder / "labels/train/1.txt").write_text("\n")
    (folder / "labels/train/2.txt").write_bytes(b"\xff\xfe\0")

    assert [(kind, name) for kind, name, _ in found(checked(folder))] == [
        (Kind.UNREADABLE_LABELS, "2.txt"),
        (Kind.NO_LABEL_FILE, "0.png"),
        (Kind.NO_BOXES, "1.txt"),
    ]


def test_a_split_without_any_label_file_is_told_once(folder: Path) -> None:
    for path in (folder / "labels/val").iterdir():
        path.unlink()

    ((kind, name, message),) = found(checked(folder))

    assert (kind, name) == (Kind.NO_LABELS, "a.yaml")
    assert message.startswith("val: none of 3 pictures has a label file")


def test_a_split_that_is_not_there_is_told_and_the_others_are_checked(folder: Path) -> None:
    with (folder / "a.yaml").open("a") as file:
        file.write("test: images/test\n")
    (folder / "labels/train/1.txt").write_text("")

    report = checked(folder)

    assert [(kind, name) for kind, name, _ in found(report)] == [
        (Kind.NO_SPLIT, "a.yaml"),
        (Kind.NO_BOXES, "1.txt"),
    ]
    assert "no such file or folder" in report.problems[0].message


def test_a_set_of_which_no_split_can_be_used_is_refused(folder: Path) -> None:
    (folder / "a.yaml").write_text("train: gone\nval: gone\nnames: [car]\n")

    with pytest.raises(DataError, match="no such file or folder"):
        checked(folder)


def test_the_same_file_in_two_splits_and_twice_in_one_is_told(folder: Path) -> None:
    content = (folder / "images/train/1.png").read_bytes()
    for place in ("train/copy", "val/leaked"):
        (folder / f"images/{place}.png").write_bytes(content)
        (folder / f"labels/{place}.txt").write_text(GOOD)

    leaked, copy = found(checked(folder))

    first = folder / "images/train/1.png"
    assert leaked == (Kind.LEAKED, "leaked.png", f"in val, is byte for byte {first} of train")
    assert copy == (Kind.COPY, "copy.png", f"in train, is byte for byte {first}")


def test_nearly_the_same_picture_in_two_splits_and_twice_in_one_is_told(folder: Path) -> None:
    cv2.imwrite(str(folder / "images/val/5.png"), cv2.resize(scene(1), (100, 60)))
    cv2.imwrite(str(folder / "images/train/3.png"), cv2.flip(scene(0), 1))

    leaked, copy = found(checked(folder))

    assert leaked[:2] == (Kind.NEARLY_LEAKED, "5.png")
    assert leaked[2] == f"in val, shows nearly the same as {folder / 'images/train/1.png'} of train"
    assert copy == (Kind.NEARLY_COPY, "3.png", f"in train, shows nearly the same as {folder / 'images/train/0.png'}")


def test_a_picture_in_both_lists_is_told_once_with_its_faults(folder: Path) -> None:
    (folder / "a.yaml").write_text("train: images/train\nval: [images/val, images/train/2.png]\nnames: [car, bus]\n")
    (folder / "labels/train/2.txt").write_text("7 .3 .4 .3 .5\n")

    assert [(kind, name) for kind, name, _ in found(checked(folder))] == [
        (Kind.UNKNOWN_CLASS, "2.txt"),
        (Kind.LEAKED, "2.png"),
    ]


def test_a_picture_turned_by_exif_and_one_without_colour_are_told(folder: Path) -> None:
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<HHHIHHI", 1, 0x0112, 3, 1, 6, 0, 0)
    jpeg = cv2.imencode(".jpg", scene(1, 48, 64))[1].tobytes()
    segment = b"Exif\0\0" + tiff
    turned = b"\xff\xd8\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]
    (folder / "images/train/1.png").write_bytes(turned)
    cv2.imwrite(str(folder / "images/train/2.png"), cv2.cvtColor(scene(2), cv2.COLOR_BGR2GRAY))

    assert found(checked(folder)) == [
        (Kind.TURNED, "1.png", "EXIF orientation 6: it is seen as 64x48"),
        (Kind.GREY, "2.png", "has no colour"),
    ]


def test_xml_of_another_picture_size_is_told(folder: Path) -> None:
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>"
    for split in SPLITS:
        for path in (folder / "labels" / split).iterdir():
            size = "<size><width>128</width><height>96</height></size>" if path.stem == "2" else ""
            xml = f"<annotation>{size}<object><name>car</name>{box}</object></annotation>"
            path.with_suffix(".xml").write_text(xml)
            path.unlink()

    ((kind, name, message),) = found(checked(folder))

    assert (kind, name) == (Kind.SIZE_MISMATCH, "2.xml")
    assert "says its picture is 128x96, but the picture is 64x48" in message


def test_every_kind_of_problem_has_a_verdict_and_the_worst_come_first() -> None:
    assert set(VERDICTS) == set(Kind) - CONVERSION_KINDS
    severities = [verdict.severity for verdict in VERDICTS.values()]
    assert severities == sorted(severities, key=("error", "warning", "note").index)


def test_the_documented_table_of_kinds_is_the_real_one() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "data-quality.md").read_text("utf-8")
    rows = [f"| {kind} | {verdict.severity} | {verdict.effect} |" for kind, verdict in VERDICTS.items()]

    assert "\n".join(rows) in page


def test_progress_is_told_for_reading_and_for_comparing(folder: Path) -> None:
    calls: list[tuple[str, int, int]] = []

    check(load_data_file(folder / "a.yaml"), lambda *call: calls.append(call))

    assert calls == [(what, count, 7) for what in ("reading pictures", "comparing pictures") for count in range(1, 8)]
