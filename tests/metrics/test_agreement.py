"""Which detections of two detectors are of the same object."""

import numpy as np
import pytest

from yoloslim.boxes.detections import Detections
from yoloslim.metrics.agreement import agreement


def found(*rows: tuple[float, float, int]) -> Detections:
    """Boxes of 10x10 pixels: (left, score, class id)."""
    boxes = np.array([[left, 0, left + 10, 10] for left, *_ in rows], np.float32).reshape(-1, 4)
    scores = np.array([score for _, score, _ in rows], np.float32)
    return Detections(boxes, scores, np.array([class_id for *_, class_id in rows], np.int64))


def test_boxes_of_a_class_that_overlap_by_half_are_the_same_object() -> None:
    first = found((0, 0.9, 0), (40, 0.8, 1), (80, 0.7, 0))

    result = agreement(first, found((3, 0.5, 0), (40, 0.8, 0), (84, 0.6, 0)))

    assert (result.first, result.second, result.matched) == (3, 3, 1)
    assert result.score_changes.tolist() == pytest.approx([-0.4])


def test_an_object_is_claimed_once_by_the_best() -> None:
    result = agreement(found((2, 0.9, 0), (0, 0.8, 0)), found((0, 0.7, 0)))

    assert result.score_changes.tolist() == pytest.approx([-0.2])


@pytest.mark.parametrize("counts", [(0, 0), (0, 1), (1, 0)])
def test_where_one_sees_nothing_nothing_agrees(counts: tuple[int, int]) -> None:
    result = agreement(*(found(*[(0, 0.5, 0)] * count) for count in counts))

    assert (result.first, result.second, result.matched) == (*counts, 0)
