"""Labels of earlier runs: used when nothing changed, never when something did."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from yoloslim.data import dataset as dataset_module
from yoloslim.data import label_cache
from yoloslim.data.datafile import load_data_file
from yoloslim.data.dataset import Dataset, load_dataset
from yoloslim.data.label_cache import LabelCache
from yoloslim.data.layout import Layout
from yoloslim.data.library import Library
from yoloslim.data.picture_cache import Budget
from yoloslim.data.pictures import read_picture
from yoloslim.downloads.remote import CACHE_VARIABLE

WriteSet = Callable[..., Path]

LAYOUT = Layout((64, 48), "letterbox")


@pytest.fixture
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of cached labels."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache/labels"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the pictures that are decoded."""
    names: list[str] = []

    def read(path: Path) -> np.ndarray:
        names.append(path.stem)
        return read_picture(path)

    monkeypatch.setattr(dataset_module, "read_picture", read)
    return names


@pytest.fixture
def folder(tmp_path: Path, cache_folder: Path, write_set: WriteSet) -> Path:
    """A set of four pictures, one of them without labels, all left alone."""
    folder = write_set(tmp_path / "set\nÄ", 4, boxes=2)
    (folder / "labels/02.txt").unlink()
    settle(folder)
    return folder


def settle(folder: Path) -> None:
    """As if nothing had changed for a minute."""
    then = time.time_ns() - 60 * 10**9
    for path in folder.rglob("*.*"):
        os.utime(path, ns=(then, then))


def load(folder: Path) -> Dataset:
    return load_dataset(load_data_file(folder / "data.yaml"), "train")


def known(folder: Path) -> Library:
    return Library(load(folder), LAYOUT)


def assert_same(found: Library, expected: Library) -> None:
    assert found.problems == expected.problems
    assert [found.path(index) for index in range(len(found))] == [expected.path(index) for index in range(len(found))]
    np.testing.assert_array_equal(found.sizes, expected.sizes)
    np.testing.assert_array_equal(found.annotations.boxes, expected.annotations.boxes)
    np.testing.assert_array_equal(found.annotations.class_ids, expected.annotations.class_ids)
    np.testing.assert_array_equal(found.annotations.starts, expected.annotations.starts)


def test_what_has_not_changed_is_not_read_again(folder: Path, reads: list[str]) -> None:
    first = known(folder)
    reads.clear()

    second = known(folder)

    assert reads == []
    assert_same(second, first)


def test_what_has_problems_is_read_and_told_each_time(folder: Path, cache_folder: Path, reads: list[str]) -> None:
    (folder / "labels/01.txt").write_text("0 0.5 0.5 0.1 0.1\n9 0.5 0.5 0.1 0.1\n")
    settle(folder)
    first = known(folder)
    (stored,) = cache_folder.iterdir()
    written = stored.stat().st_mtime_ns
    reads.clear()

    second = known(folder)

    assert reads == ["01"]
    assert [problem.line for problem in second.problems] == [2]
    assert_same(second, first)
    assert stored.stat().st_mtime_ns == written  # nothing came to be known


def rewrite(path: Path) -> None:
    """Another content of the same size, at another time."""
    path.write_bytes(path.read_bytes().replace(b"0.5", b"0.4"))


def touch(path: Path) -> None:
    path.touch()


def grow(path: Path) -> None:
    """More content, at the same time."""
    status = path.stat()
    path.write_bytes(path.read_bytes() + b"\n1 0.5 0.5 0.2 0.2\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("change", [rewrite, touch, grow])
@pytest.mark.parametrize("name", ["labels/03.txt", "images/03.png"])
def test_what_has_changed_is_read_again(
    folder: Path, reads: list[str], name: str, change: Callable[[Path], None]
) -> None:
    known(folder)
    reads.clear()
    change(folder / name)

    found = known(folder)

    assert reads == ["03"]
    assert_same(found, fresh(folder))


def fresh(folder: Path) -> Library:
    """What is found without an earlier run."""
    for path in (folder.parent / "cache/labels").iterdir():
        path.unlink()
    return known(folder)


def test_pictures_and_labels_that_come_and_go_are_noticed(folder: Path, reads: list[str]) -> None:
    known(folder)
    reads.clear()
    (folder / "images/01.png").unlink()
    (folder / "labels/02.txt").write_text("1 0.5 0.5 0.3 0.3\n")
    (folder / "images/04.png").write_bytes((folder / "images/03.png").read_bytes())

    found = known(folder)

    assert sorted(reads) == ["02", "04"]
    assert_same(found, fresh(folder))


def test_what_could_not_be_read_is_tried_again(folder: Path, reads: list[str]) -> None:
    whole = (folder / "images/03.png").read_bytes()
    (folder / "images/03.png").write_bytes(whole[:-20])
    settle(folder)
    assert len(known(folder)) == 3
    reads.clear()

    assert len(known(folder)) == 3
    assert reads == ["03"]


def test_what_changed_a_moment_ago_is_not_relied_on(folder: Path, reads: list[str]) -> None:
    (folder / "labels/00.txt").touch()
    known(folder)
    reads.clear()

    known(folder)

    assert reads == ["00"]


def test_other_classes_are_another_reading(folder: Path, reads: list[str]) -> None:
    known(folder)
    reads.clear()
    (folder / "data.yaml").write_text("train: images\nnames: [a]\n")

    found = known(folder)

    assert len(reads) == 4
    assert len(found.problems) == 4  # class 1 is none any more
    assert_same(found, fresh(folder))


def test_a_single_class_is_another_reading(folder: Path) -> None:
    known(folder)

    found = Library(replace(load(folder), single_class=True), LAYOUT)

    assert set(found.annotations.class_ids.tolist()) == {0}


def test_other_code_reads_anew(folder: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    known(folder)
    reads.clear()
    monkeypatch.setattr(label_cache, "_code", lambda: b"another release")

    known(folder)

    assert len(reads) == 4


@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.9, 0.999])
def test_a_damaged_file_is_not_used(folder: Path, cache_folder: Path, reads: list[str], place: float) -> None:
    first = known(folder)
    (stored,) = cache_folder.iterdir()
    content = bytearray(stored.read_bytes())
    content[int(place * len(content))] ^= 0x55

    for damaged in (bytes(content), content[: int(place * len(content))], b""):
        reads.clear()
        stored.write_bytes(damaged)
        assert_same(known(folder), first)
        assert len(reads) == 4


def test_a_folder_that_cannot_be_written_is_no_error(
    folder: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, os.devnull)

    assert len(known(folder)) == 4
    assert len(known(folder)) == 4

    assert len(reads) == 8
    assert caplog.messages == []


def test_without_the_variable_labels_are_kept_in_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_set: WriteSet
) -> None:
    folder = write_set(tmp_path / "set", 1)
    settle(folder)
    monkeypatch.delenv(CACHE_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))

    known(folder)

    assert len(list((tmp_path / "home/yoloslim/labels").glob("*.labels"))) == 1


def test_paths_may_be_relative(folder: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    known(folder)
    reads.clear()
    monkeypatch.chdir(folder)

    assert len(known(Path())) == 4

    assert reads == []


def test_pictures_that_are_to_be_kept_are_decoded_all_the_same(folder: Path, reads: list[str]) -> None:
    first = known(folder)
    reads.clear()

    kept = Library(load(folder), LAYOUT, budget=Budget("disk", 2 * 64 * 48 * 3, None))

    assert (reads, kept.num_cached) == (["00", "01"], 2)
    assert_same(kept, first)


def test_only_files_of_the_set_as_it_is_are_remembered(folder: Path) -> None:
    known(folder)
    (folder / "images/00.png").touch()

    found = LabelCache(load(folder)).load()

    assert found.is_known.tolist() == [False, True, True, True]
    assert found.annotations.counts.tolist() == [0, 2, 0, 2]
