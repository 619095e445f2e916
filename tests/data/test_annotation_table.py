"""Many annotations as a few arrays are the annotations."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoloslim.boxes.annotation import Annotation
from yoloslim.data.annotation_table import AnnotationTable, stacked

COUNTS = st.lists(st.integers(0, 4), max_size=8)


def annotations(counts: list[int]) -> list[Annotation]:
    rng = np.random.default_rng(sum(counts))
    return [
        Annotation(rng.random((count, 4), np.float32), rng.integers(0, 9, count), rng.random(count) < 0.5)
        for count in counts
    ]


def assert_same(found: AnnotationTable, expected: list[Annotation]) -> None:
    assert len(found) == len(expected)
    for index, annotation in enumerate(expected):
        for field in ("boxes", "class_ids", "difficult"):
            np.testing.assert_array_equal(getattr(found[index], field), getattr(annotation, field))


@given(COUNTS)
def test_a_table_gives_back_its_annotations(counts: list[int]) -> None:
    made = annotations(counts)

    table = AnnotationTable.of(made)

    assert_same(table, made)
    assert table.counts.tolist() == counts
    assert table.pictures.tolist() == [index for index, count in enumerate(counts) for _ in range(count)]


@given(COUNTS, COUNTS)
def test_stacked_tables_are_one_after_the_other(first: list[int], second: list[int]) -> None:
    found = stacked([AnnotationTable.of(annotations(counts)) for counts in (first, second)])

    assert_same(found, annotations(first) + annotations(second))


@given(COUNTS.filter(bool), st.data())
def test_pictures_are_taken_in_any_order(counts: list[int], data: st.DataObject) -> None:
    made = annotations(counts)
    order = data.draw(st.lists(st.integers(0, len(counts) - 1)))

    found = AnnotationTable.of(made).take(np.array(order, np.int64))

    assert_same(found, [made[index] for index in order])


@given(COUNTS)
def test_boxes_are_kept_where_asked(counts: list[int]) -> None:
    table = AnnotationTable.of(annotations(counts))

    found = table.keep(~table.difficult)

    assert not found.difficult.any()
    assert_same(
        found,
        [
            Annotation(a.boxes[~a.difficult], a.class_ids[~a.difficult], a.difficult[~a.difficult])
            for a in annotations(counts)
        ],
    )


def test_parts_that_do_not_fit_together_are_refused() -> None:
    table = AnnotationTable.of(annotations([2, 1]))

    with pytest.raises(ValueError, match=r"class_ids: expected shape \(3,\), found \(2,\)"):
        dataclasses.replace(table, class_ids=table.class_ids[:2])
    with pytest.raises(ValueError, match="expected numbers that rise from 0"):
        dataclasses.replace(table, starts=np.array([0, 4, 3]))
