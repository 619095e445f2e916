from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from yoloslim.boxes.annotation import Annotation
from yoloslim.data.annotations import LabelledBox, LabelReading, Problem, annotation_of


def test_an_annotation_keeps_the_order_of_its_boxes() -> None:
    annotation = annotation_of([LabelledBox((1, 2, 3, 4), 5), LabelledBox((0, 0, 9, 9), 1, difficult=True)])

    assert annotation.boxes.tolist() == [[1, 2, 3, 4], [0, 0, 9, 9]]
    assert annotation.class_ids.tolist() == [5, 1]
    assert annotation.difficult.tolist() == [False, True]
    assert (annotation.boxes.dtype, annotation.class_ids.dtype, len(annotation)) == (np.float32, np.int64, 2)


def test_an_empty_annotation_has_the_shapes_of_any_other() -> None:
    empty = Annotation.empty()

    assert (empty.boxes.shape, empty.class_ids.shape, empty.difficult.shape) == ((0, 4), (0,), (0,))


def test_an_annotation_of_wrong_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"class_ids: expected shape \(2,\), found \(1,\)"):
        Annotation(np.zeros((2, 4), np.float32), np.zeros(1, np.int64), np.zeros(2, np.bool_))


def test_a_problem_prints_as_one_line_with_its_place() -> None:
    assert str(Problem(Path("a.txt"), 3, "bad")) == "a.txt:3: bad"
    assert str(Problem(Path("a.txt"), 0, "bad")) == "a.txt: bad"


def test_a_reading_gives_its_boxes_as_arrays_and_none_where_nothing_is_known() -> None:
    reading = LabelReading((LabelledBox((1, 2, 3, 4), 5),), ())

    assert reading.annotation is not None
    assert reading.annotation.boxes.tolist() == [[1, 2, 3, 4]]
    assert LabelReading(None, ()).annotation is None
