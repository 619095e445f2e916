from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoloslim.data.annotations import LabelReading
from yoloslim.data.formats.voc import read_voc

NAMES = ("person", "dog")
SIZE = (200, 100)


def an_object(name: str = "dog", box: str = "10 20 30 40", extra: str = "<difficult>0</difficult>") -> str:
    corners = "".join(
        f"<{key}> {v} </{key}>" for key, v in zip(("xmin", "ymin", "xmax", "ymax"), box.split(), strict=True)
    )
    return f"<object>\n<name>{name}</name>{extra}\n<bndbox>{corners}</bndbox></object>\n"


def read(folder: Path, objects: str, *, size: str = "") -> LabelReading:
    path = folder / "a.xml"
    path.write_text(f"<annotation>\n{size}{objects}</annotation>\n", encoding="utf-8")
    return read_voc(path, NAMES, SIZE)


def test_corners_are_taken_as_written(tmp_path: Path) -> None:
    reading = read(tmp_path, an_object(box="1 1 200 100") + an_object("person", "48.5 0 60.25 7"))

    assert reading.problems == ()
    assert reading.annotation is not None
    assert reading.annotation.boxes.tolist() == [[1, 1, 200, 100], [48.5, 0, 60.25, 7]]
    assert reading.annotation.class_ids.tolist() == [1, 0]


def test_difficult_is_read_and_false_where_not_stated(tmp_path: Path) -> None:
    flags = ["<difficult>1</difficult>", "<difficult>0</difficult>", "", "<difficult>Unspecified</difficult>"]

    reading = read(tmp_path, "".join(an_object(extra=flag) for flag in flags))

    assert reading.annotation is not None
    assert reading.annotation.difficult.tolist() == [True, False, False, False]


def test_parts_of_an_object_are_not_objects(tmp_path: Path) -> None:
    part = "<part><name>hand</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"

    reading = read(tmp_path, an_object().replace("</object>", f"{part}</object>"))

    assert reading.problems == ()
    assert reading.annotation is not None
    assert reading.annotation.boxes.tolist() == [[10, 20, 30, 40]]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (an_object("dgo"), "class 'dgo' is not among the data file's names: did you mean 'dog'?"),
        (an_object("zebra"), "class 'zebra' is not among the data file's names (person, dog)"),
        (an_object(box="10 20 10 40"), "the box has no area (xmin=10 ymin=20 xmax=10 ymax=40)"),
        (an_object(box="30 20 10 40"), "the box has no area"),
        (an_object(box="10 20 203 40"), "xmax=203 is outside the picture (200x100)"),
        (an_object(box="10 -2 20 40"), "ymin=-2 is outside the picture"),
        (an_object(box="10 20 x 40"), "<xmax>: expected a number, found 'x'"),
        (an_object(box="10 20 nan 40"), "<xmax>: expected a finite number, found 'nan'"),
        (an_object().replace("bndbox", "robndbox"), "expected <bndbox> with <xmin>, found none"),
        ("<object></object>", "class '' is not among"),
    ],
)
def test_a_bad_object_is_left_out_and_told_with_its_line(tmp_path: Path, bad: str, message: str) -> None:
    reading = read(tmp_path, an_object() + bad + an_object("person"))

    assert reading.annotation is not None
    assert reading.annotation.class_ids.tolist() == [1, 0]
    (problem,) = reading.problems
    assert problem.line == 5
    assert message in problem.message


def test_a_size_that_is_not_the_pictures_is_told_and_the_boxes_are_kept(tmp_path: Path) -> None:
    size = "<size><width>100</width><height>200</height><depth>3</depth></size>"

    reading = read(tmp_path, an_object(), size=size)

    assert reading.annotation is not None
    assert len(reading.annotation) == 1
    assert "says its picture is 100x200, but the picture is 200x100" in str(reading.problems[0])


def test_a_size_of_zero_says_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, "", size="<size><width>0</width><height>0</height></size>").problems == ()


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b"", 1, "broken xml"),
        (b"<annotation>\n<object>\n", 3, "broken xml"),
        (b"0 0.5 0.5 0.1 0.1\n", 1, "broken xml"),
        (b"<html></html>", 0, "found <html>"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>', 0, "refused"),
        (b'<?xml version="1.0" encoding="no-such"?><annotation/>', 0, "unknown encoding"),
        (b"<annotation><filename>../../x.jpg</filename></annotation>", 0, "'../../x.jpg', which climbs out of it"),
        (b"<annotation><filename>a\\..\\..\\x.jpg</filename></annotation>", 0, "which climbs out of it"),
    ],
)
def test_a_file_that_is_no_voc_xml_is_a_problem_and_not_a_background(
    tmp_path: Path, content: bytes, line: int, message: str
) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(content)

    reading = read_voc(path, NAMES, SIZE)

    assert reading.annotation is None
    (problem,) = reading.problems
    assert problem.line == line
    assert message in problem.message


def test_a_billion_laughs_are_refused(tmp_path: Path) -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    path = tmp_path / "a.xml"
    path.write_text(
        f'<!DOCTYPE annotation [<!ENTITY l0 "ha">{laughs}]><annotation><filename>&l9;</filename></annotation>'
    )

    reading = read_voc(path, NAMES, SIZE)

    assert reading.annotation is None
    assert "found xml that is refused (EntitiesForbidden" in str(reading.problems[0])


@pytest.mark.parametrize("name", ["a.jpg", "b/../a.jpg", "/home/x/a.jpg", "..a.jpg"])
def test_a_file_name_that_stays_inside_or_is_absolute_does_no_harm_and_is_not_used(tmp_path: Path, name: str) -> None:
    reading = read(tmp_path, f"<filename>{name}</filename>" + an_object())

    assert reading.annotation is not None
    assert len(reading.annotation) == 1


def test_a_folder_in_place_of_the_file_is_a_problem(tmp_path: Path) -> None:
    assert "cannot be read" in str(read_voc(tmp_path, NAMES, SIZE).problems[0])


@given(st.binary(max_size=60) | st.sampled_from([an_object(), an_object("cat")]).map(str.encode), st.integers(0, 200))
def test_no_content_makes_the_reader_fail(content: bytes, cut: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.xml"
        path.write_bytes((b"<annotation>" + content + b"</annotation>")[:cut])

        reading = read_voc(path, NAMES, SIZE)

        assert reading.annotation is not None or len(reading.problems) == 1
