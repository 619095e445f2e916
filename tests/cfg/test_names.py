from __future__ import annotations

from pathlib import Path

import pytest

from yoloslim.cfg.names import read_names
from yoloslim.errors import CfgError, DataError


def test_a_line_is_a_class_and_blank_lines_at_the_end_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "a.names"
    path.write_text("person\r\n traffic light \nгород\n\n  \n", encoding="utf-8")

    assert read_names(path) == ("person", "traffic light", "город")


def test_a_byte_order_mark_is_not_part_of_the_first_name(tmp_path: Path) -> None:
    path = tmp_path / "a.names"
    path.write_bytes(b"\xef\xbb\xbfcar\nbus")

    assert read_names(path) == ("car", "bus")


def test_a_missing_file_is_an_error_that_says_who_named_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.names: no such names file \(named by coco\.data: names\)"):
        read_names(tmp_path / "gone.names", referred_by="coco.data: names")


def test_a_blank_line_between_names_is_an_error_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.names"
    path.write_text("car\n\nbus\n")

    with pytest.raises(CfgError, match=r"a\.names:2: blank line between class names"):
        read_names(path)


@pytest.mark.parametrize(("content", "message"), [(b" \n\n", "found none"), (b"\xff\xfe\x00", "expected UTF-8")])
def test_a_file_without_names_is_an_error(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.names"
    path.write_bytes(content)

    with pytest.raises(DataError, match=message):
        read_names(path)


def test_a_folder_is_not_a_names_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="names file cannot be read"):
        read_names(tmp_path)


def test_coco_has_80_names(data_dir: Path) -> None:
    names = read_names(data_dir / "weights" / "coco.names")

    assert (len(names), names[0], names[79]) == (80, "person", "toothbrush")
