from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoloslim.boxes.annotation import Annotation
from yoloslim.boxes.detections import Detections
from yoloslim.metrics.precision_recall import PrecisionRecall, precision_recall

CLASSES = 3
corner, side, class_id = st.integers(0, 8), st.integers(0, 8), st.integers(0, CLASSES - 1)
box = st.tuples(corner, corner, side, side).map(lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]])
truth_rows = st.lists(st.tuples(box, class_id, st.booleans()), max_size=5)
found_rows = st.lists(st.tuples(box, class_id, st.integers(1, 5)), max_size=8)
scenes = st.lists(st.tuples(truth_rows, found_rows), min_size=1, max_size=3)


def truth(rows: Sequence[tuple[list[float], int, bool]]) -> Annotation:
    boxes = np.array([row[0] for row in rows], np.float32).reshape(-1, 4)
    return Annotation(boxes, np.array([row[1] for row in rows], np.int64), np.array([row[2] for row in rows], bool))


def found(rows: Sequence[tuple[list[float], int, float]]) -> Detections:
    """From rows of box, class and score in tenths."""
    boxes = np.array([row[0] for row in rows], np.float32).reshape(-1, 4)
    scores = np.array([row[2] for row in rows], np.float32) / 10
    return Detections(boxes, scores, np.array([row[1] for row in rows], np.int64))


def overlap(a: list[float], b: list[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height)


def right_and_wrong(truths: list, detections: list) -> tuple[int, int]:
    """Counts in one picture and class, one pair after the other; rows of box and (difficult | score)."""
    right = wrong = 0
    free = list(truths)
    for position, _ in sorted(detections, key=lambda row: -row[1]):
        fitting = [row for row in free if overlap(position, row[0]) >= 0.5]
        if not fitting:
            wrong += 1
            continue
        taken = max(fitting, key=lambda row: (not row[1], overlap(position, row[0])))
        free.remove(taken)
        right += not taken[1]
    return right, wrong


def brute_force(pictures: list, conf: float) -> tuple[float, float, float]:
    """Class means of precision, recall and F1 of the detections with at least this score in tenths."""
    means = []
    for wanted in range(CLASSES):
        counts = np.zeros(2, int)
        total = 0
        for truths, detections in pictures:
            own = [(row[0], row[2]) for row in truths if row[1] == wanted]
            total += sum(not difficult for _, difficult in own)
            counts += right_and_wrong(own, [(r[0], r[2]) for r in detections if r[1] == wanted and r[2] >= conf])
        right, wrong = counts
        if total:
            means.append((right / max(right + wrong, 1), right / total, 2 * right / (right + wrong + total)))
    return tuple(np.mean(means, axis=0)) if means else (0.0, 0.0, 0.0)


def measured(pictures: list, at_conf: float | None = None) -> PrecisionRecall:
    truths = [truth(rows) for rows, _ in pictures]
    return precision_recall(truths, [found(rows) for _, rows in pictures], CLASSES, at_conf=at_conf)


@given(scenes, st.integers(1, 6))
def test_values_at_a_confidence_equal_brute_force(pictures: list, conf: int) -> None:
    result = measured(pictures, at_conf=conf / 10)
    assert (result.precision, result.recall, result.f1) == pytest.approx(brute_force(pictures, conf))
    assert result.at_conf == conf / 10


@given(scenes)
def test_the_confidence_chosen_has_the_best_mean_f1(pictures: list) -> None:
    result = measured(pictures)
    everywhere = {conf: brute_force(pictures, conf) for conf in range(1, 7)}
    best = max(f1 for _, _, f1 in everywhere.values())
    assert result.f1 == pytest.approx(best)
    if best:
        highest = max(conf for conf, values in everywhere.items() if values[2] == pytest.approx(best))
        assert result.at_conf == pytest.approx(highest / 10)
        assert (result.precision, result.recall, result.f1) == pytest.approx(everywhere[highest])


def test_a_second_detection_of_a_truth_is_wrong() -> None:
    result = measured([([([0, 0, 8, 8], 0, False)], [([0, 0, 8, 8], 0, 5), ([0, 0, 8, 7], 0, 4)])], at_conf=0.1)
    assert (result.precision, result.recall) == (0.5, 1.0)


def test_difficult_truths_count_neither_way() -> None:
    truths = [([0, 0, 4, 4], 0, False), ([20, 20, 24, 24], 0, True), ([40, 40, 44, 44], 0, True)]
    result = measured([(truths, [([0, 0, 4, 4], 0, 3), ([20, 20, 24, 24], 0, 5)])])
    assert result == PrecisionRecall(1.0, 1.0, 1.0, pytest.approx(0.3))


def test_an_ordinary_truth_comes_before_a_difficult_one() -> None:
    truths = [([0, 0, 10, 10], 0, True), ([0, 0, 10, 8], 0, False)]
    assert measured([(truths, [([0, 0, 10, 10], 0, 5)])]).recall == 1.0


def test_classes_without_truths_do_not_count() -> None:
    result = measured([([([0, 0, 4, 4], 0, False)], [([0, 0, 4, 4], 0, 3), ([0, 0, 4, 4], 1, 5)])])
    assert (result.precision, result.recall, result.f1) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    "pictures", [[], [([], [])], [([], [([0, 0, 4, 4], 0, 3)])], [([([0, 0, 4, 4], 0, False)], [])]]
)
def test_nothing_to_find_or_nothing_found_gives_zeros(pictures: list) -> None:
    assert measured(pictures) == PrecisionRecall(0.0, 0.0, 0.0, 0.0)
