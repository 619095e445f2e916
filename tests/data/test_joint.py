"""Several data sets with one list of classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from yoloslim.data.datafile import load_data_file
from yoloslim.data.dataset import Dataset, load_dataset
from yoloslim.data.joint import as_joint, joint

WriteSet = Callable[..., Path]


@pytest.fixture
def sets(tmp_path: Path, write_set: WriteSet) -> list[Dataset]:
    """Sets with the classes car, bus and bus, person."""
    folders = [
        write_set(tmp_path / name, 2, names=names) for name, names in (("a", ("car", "bus")), ("b", ("bus", "person")))
    ]
    return [load_dataset(load_data_file(folder / "data.yaml"), "train") for folder in folders]


def test_classes_are_those_of_all_sets_in_the_order_in_which_they_appear(sets: list[Dataset]) -> None:
    both = joint(sets, [{}, {}])

    assert both.names == ("car", "bus", "person")
    assert [part.class_ids for part in both.parts] == [(0, 1), (1, 2)]
    assert [part.unlabelled for part in both.parts] == [{2}, {0}]


def test_a_label_map_calls_classes_something_else(sets: list[Dataset]) -> None:
    both = joint(sets, [{"car": "vehicle", "bus": "vehicle"}, {"bus": "vehicle", "car": "unused"}])

    assert both.names == ("vehicle", "person")
    assert [part.class_ids for part in both.parts] == [(0, 0), (0, 1)]
    assert [part.unlabelled for part in both.parts] == [{1}, frozenset()]


def test_the_common_list_can_be_that_of_other_splits(sets: list[Dataset]) -> None:
    found = joint(sets[1:], [{}], ("car", "bus", "person"))

    assert found.names == ("car", "bus", "person")
    assert found.parts[0].class_ids == (1, 2)
    assert found.parts[0].unlabelled == {0}


def test_its_pictures_are_those_of_the_sets_with_class_ids_of_the_common_list(sets: list[Dataset]) -> None:
    both = joint(sets, [{}, {}])

    loaded = list(both)

    assert len(both) == len(loaded) == 4
    assert [one.sample for one in loaded] == list(both.samples)
    assert [one.annotation.class_ids.tolist() for one in loaded] == [[0], [1], [1], [2]]
    assert [one.annotation.unlabelled for one in loaded] == [{2}, {2}, {0}, {0}]


def test_a_picture_that_cannot_be_read_stays_without_annotation(sets: list[Dataset]) -> None:
    sets[1].samples[0].path.write_bytes(b"no picture")

    loaded = list(joint(sets, [{}, {}]))

    assert [one.annotation is None for one in loaded] == [False, False, True, False]


def test_problems_and_notes_are_those_of_all_sets(sets: list[Dataset]) -> None:
    for dataset in sets:
        for sample in dataset.samples:
            sample.label_path.unlink()
    again = [load_dataset(load_data_file(one.samples[0].path.parents[1] / "data.yaml"), "train") for one in sets]

    both = joint(again, [{}, {}])

    assert len(both.problems) == 2
    assert both.notes == again[0].notes + again[1].notes


def test_one_set_keeps_its_classes_even_of_the_same_name(tmp_path: Path, write_set: WriteSet) -> None:
    folder = write_set(tmp_path, 1, names=("a", "a"))
    alone = as_joint(load_dataset(load_data_file(folder / "data.yaml"), "train"))

    assert alone.names == ("a", "a")
    assert alone.parts[0].class_ids == (0, 1)
    assert alone.parts[0].unlabelled == frozenset()
    assert as_joint(alone) is alone
