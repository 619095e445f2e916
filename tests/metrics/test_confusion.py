"""Which classes are taken for which: the diagonal is precision's and recall's, the rest says what went wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoloslim.boxes.annotation import Annotation
from yoloslim.boxes.detections import Detections
from yoloslim.metrics.confusion import confusion_matrix
from yoloslim.metrics.precision_recall import precision_recall

CLASSES = 3
HERE, THERE = (0, 0, 10, 10), (20, 0, 30, 10)
Box = tuple[float, float, float, float]

corner, side, class_id = st.integers(0, 8), st.integers(1, 8), st.integers(0, CLASSES - 1)
box = st.tuples(corner, corner, side, side).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
truth_rows = st.lists(st.tuples(box, class_id, st.booleans()), max_size=5)
found_rows = st.lists(st.tuples(box, class_id, st.integers(1, 5)), max_size=8)
scenes = st.lists(st.tuples(truth_rows, found_rows), min_size=1, max_size=3)


def truth(rows: Sequence[tuple[Box, int, bool]]) -> Annotation:
    boxes = np.array([row[0] for row in rows], np.float32).reshape(-1, 4)
    return Annotation(boxes, np.array([row[1] for row in rows], np.int64), np.array([row[2] for row in rows], bool))


def found(rows: Sequence[tuple[Box, int, float]]) -> Detections:
    """From rows of box, class and score in tenths."""
    boxes = np.array([row[0] for row in rows], np.float32).reshape(-1, 4)
    scores = np.array([row[2] for row in rows], np.float32) / 10
    return Detections(boxes, scores, np.array([row[1] for row in rows], np.int64))


def matrix(truths: list[tuple[Box, int, bool]], detections: list[tuple[Box, int, float]]) -> list[list[int]]:
    return confusion_matrix([truth(truths)], [found(detections)], 2, 0.3).tolist()


@pytest.mark.parametrize(
    ("truths", "detections", "expected"),
    [
        ([(HERE, 0, False)], [(HERE, 0, 9)], [[1, 0, 0], [0, 0, 0], [0, 0, 0]]),
        ([(HERE, 0, False)], [(HERE, 1, 9)], [[0, 1, 0], [0, 0, 0], [0, 0, 0]]),
        ([(HERE, 0, False)], [(THERE, 0, 9)], [[0, 0, 1], [0, 0, 0], [1, 0, 0]]),
        ([(HERE, 0, False)], [(HERE, 0, 2)], [[0, 0, 1], [0, 0, 0], [0, 0, 0]]),  # below the confidence
        ([(HERE, 0, True)], [(HERE, 0, 9)], [[0, 0, 0], [0, 0, 0], [0, 0, 0]]),  # difficult: neither way
        ([(HERE, 0, True)], [(HERE, 1, 9)], [[0, 0, 0], [0, 0, 0], [0, 1, 0]]),
        ([(HERE, 0, False)], [(HERE, 0, 9), (HERE, 0, 8)], [[1, 0, 0], [0, 0, 0], [1, 0, 0]]),  # found twice
        ([(HERE, 0, False)], [(HERE, 1, 9), (HERE, 0, 4)], [[1, 0, 0], [0, 0, 0], [0, 1, 0]]),  # right goes first
        ([], [], [[0, 0, 0], [0, 0, 0], [0, 0, 0]]),
    ],
)
def test_each_object_and_each_detection_is_in_one_cell(
    truths: list[tuple[Box, int, bool]], detections: list[tuple[Box, int, float]], expected: list[list[int]]
) -> None:
    assert matrix(truths, detections) == expected


@given(scenes, st.integers(1, 5))
def test_sums_are_those_of_truths_and_detections_and_the_diagonal_that_of_precision_and_recall(
    rows: list[tuple[list, list]], tenths: int
) -> None:
    truths, detections = [truth(one) for one, _ in rows], [found(one) for _, one in rows]
    clear = np.bincount([c for one, _ in rows for _, c, difficult in one if not difficult], minlength=CLASSES)

    counts = confusion_matrix(truths, detections, CLASSES, tenths / 10)

    assert counts[:-1].sum(axis=1).tolist() == clear.tolist()
    assert counts[-1, -1] == 0
    at_conf = precision_recall(truths, detections, CLASSES, at_conf=tenths / 10)
    present = np.flatnonzero(clear)
    if len(present):
        right, columns = counts.diagonal()[present], counts[:, present].sum(axis=0)
        assert (right / clear[present]).mean() == pytest.approx(at_conf.recall)
        assert (right / np.maximum(columns, 1)).mean() == pytest.approx(at_conf.precision)
