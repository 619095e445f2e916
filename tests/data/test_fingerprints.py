"""Which pictures a network was trained on: eight bytes a picture, added up over trainings."""

from pathlib import Path

import pytest

from yoloslim.data.fingerprints import KEY, fingerprints_of, known_fingerprints, with_fingerprints
from yoloslim.errors import WeightsError


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def test_name_and_bytes_make_a_picture_and_its_folder_does_not(tmp_path: Path) -> None:
    first = write(tmp_path / "a" / "1.jpg", b"x" * 5000)
    same = write(tmp_path / "b" / "1.jpg", b"x" * 5000)
    renamed = write(tmp_path / "b" / "2.jpg", b"x" * 5000)
    changed = write(tmp_path / "c" / "1.jpg", b"x" * 4999 + b"y")

    prints = [fingerprints_of([path]) for path in (first, same, renamed, changed)]

    assert prints[0] == prints[1]
    assert len(set(prints)) == 3
    assert all(len(part) == 8 for one in prints for part in one)


def test_a_name_does_not_run_into_the_bytes(tmp_path: Path) -> None:
    short, long = write(tmp_path / "a" / "1", b"2x"), write(tmp_path / "a" / "12", b"x")

    assert fingerprints_of([short]) != fingerprints_of([long])


def test_pictures_that_cannot_be_read_have_none(tmp_path: Path) -> None:
    paths = [write(tmp_path / "a" / f"{number}.png", bytes([number])) for number in range(20)]

    assert len(fingerprints_of([*paths, tmp_path / "gone.png", tmp_path])) == 20
    assert fingerprints_of([]) == frozenset()


def test_fingerprints_go_through_a_provenance_and_add_up(tmp_path: Path) -> None:
    first, second = ({bytes([number]) * 8 for number in numbers} for numbers in ((1, 2), (2, 3)))

    once = with_fingerprints({"seed": 1}, frozenset(first))
    twice = with_fingerprints(once, frozenset(second))

    assert once["seed"] == twice["seed"] == 1
    assert known_fingerprints(twice) == first | second
    assert len(twice[KEY]) == 32  # base64 of 24 bytes
    assert with_fingerprints({}, frozenset()) == {}
    assert known_fingerprints({}) == frozenset()


@pytest.mark.parametrize(("value", "message"), [("§", "not base64"), (7, "not base64"), ("AAAA", "cut off: 3 bytes")])
def test_what_is_no_fingerprint_is_refused(value: object, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        known_fingerprints({KEY: value})
