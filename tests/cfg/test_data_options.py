from __future__ import annotations

from pathlib import Path

import pytest

from yoloslim.cfg.data_options import parse_data_options, read_data_options
from yoloslim.errors import CfgError, DataError


def test_options_are_read_whatever_the_blanks_around_them() -> None:
    text = "classes= 80\n\n  train  =data/train.txt\nvalid\t=\tmy data/val.txt \r\nbackup =\n"

    options = parse_data_options(text)

    assert options == {"classes": "80", "train": "data/train.txt", "valid": "my data/val.txt", "backup": ""}


def test_comments_are_dropped_but_a_hash_inside_a_path_stays() -> None:
    text = "# all\n  ; of it\nclasses = 2 # two\ntrain = a#b/train.txt\nnames = x=y.names\n"

    assert parse_data_options(text) == {"classes": "2", "train": "a#b/train.txt", "names": "x=y.names"}


@pytest.mark.parametrize("line", ["train data/train.txt", "= data/train.txt"])
def test_a_line_that_is_no_option_is_an_error_with_file_and_line(line: str) -> None:
    with pytest.raises(CfgError, match=r"coco\.data:3: expected `key = value`") as caught:
        parse_data_options(f"classes = 1\n\n{line}\n", path="coco.data")
    assert caught.value.line == 3


def test_a_key_given_twice_is_an_error_that_names_both_lines() -> None:
    with pytest.raises(CfgError, match=r"coco\.data:3: 'train' is given twice, first on line 1"):
        parse_data_options("train = a\nvalid = b\ntrain = c\n", path="coco.data")


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.data: no such data file"):
        read_data_options(tmp_path / "gone.data")


def test_a_picture_is_not_a_data_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0")

    with pytest.raises(DataError, match=r"a\.jpg: expected a Darknet \.data file"):
        read_data_options(path)
