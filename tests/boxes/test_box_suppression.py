from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoloslim.boxes import nms
from yoloslim.boxes.detections import Detections
from yoloslim.boxes.nms import suppress

coordinate = st.integers(0, 12)
candidate = st.tuples(coordinate, coordinate, coordinate, coordinate, st.integers(0, 5), st.integers(0, 2))


def detections(rows: list[tuple[float, ...]]) -> Detections:
    """From rows of x, y, width, height, score in fifths and class."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    boxes = np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1)
    return Detections(boxes, table[:, 4] / 5, table[:, 5].astype(np.int64))


def scene(count: int, seed: int = 0) -> Detections:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 60, (count, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(5, 40, (count, 2))], axis=1).astype(np.float32)
    return Detections(boxes, rng.integers(1, 999, count).astype(np.float32) / 1000, rng.integers(0, 3, count))


def overlap(a: list[float], b: list[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def brute_force(found: Detections, iou: float, limit: int) -> list[int]:
    """Indices of what stays, one pair after the other."""
    boxes, kept = found.boxes.tolist(), []
    for index in sorted(range(len(found)), key=lambda i: (-found.scores[i], i)):
        rivals = [other for other in kept if found.class_ids[other] == found.class_ids[index]]
        if all(overlap(boxes[index], boxes[other]) <= iou for other in rivals):
            kept.append(index)
    return kept[:limit]


def assert_same(actual: Detections, expected: Detections) -> None:
    np.testing.assert_array_equal(actual.boxes, expected.boxes)
    np.testing.assert_array_equal(actual.scores, expected.scores)
    np.testing.assert_array_equal(actual.class_ids, expected.class_ids)


@given(st.lists(candidate, max_size=40), st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.integers(1, 40))
def test_suppression_equals_brute_force(rows: list[tuple[float, ...]], iou: float, limit: int) -> None:
    found = detections(rows)
    assert_same(suppress(found, iou, limit), found.take(np.array(brute_force(found, iou, limit), np.int64)))


@pytest.mark.parametrize("limit", [5, 40, 1000])
def test_blocks_and_leading_candidates_change_nothing(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nms, "_BLOCK", 16)
    monkeypatch.setattr(nms, "_LEADING", 100)
    found = scene(400)
    expected = brute_force(found, 0.4, limit)
    assert len(expected) == limit or limit == 1000
    assert_same(suppress(found, 0.4, limit), found.take(np.array(expected)))


def test_other_classes_do_not_suppress() -> None:
    found = detections([(0, 0, 4, 4, 5, 0), (0, 0, 4, 4, 4, 1), (0, 0, 4, 4, 3, 1)])
    assert suppress(found, 0.5, 100).class_ids.tolist() == [0, 1]


def test_an_overlap_of_exactly_the_threshold_stays() -> None:
    found = detections([(0, 0, 2, 2, 5, 0), (1, 0, 1, 2, 4, 0)])
    assert len(suppress(found, 0.5, 100)) == 2
    assert len(suppress(found, 0.4999, 100)) == 1


def test_the_earlier_of_equals_stays() -> None:
    found = detections([(0, 0, 10, 10, 3, 0), (0, 0, 10, 11, 3, 0)])
    assert suppress(found, 0.5, 100).boxes.tolist() == [[0, 0, 10, 10]]


def test_what_was_suppressed_suppresses_nothing() -> None:
    found = detections([(0, 0, 10, 1, 5, 0), (4, 0, 10, 1, 4, 0), (8, 0, 10, 1, 3, 0)])
    assert suppress(found, 0.4, 100).boxes[:, 0].tolist() == [0, 8]


def test_nothing_in_gives_nothing_out() -> None:
    assert len(suppress(Detections.empty(), 0.5, 100)) == 0


def test_groups_may_stand_for_the_classes() -> None:
    found = scene(300)
    one = np.zeros(len(found), np.int64)
    as_one_class = suppress(Detections(found.boxes, found.scores, one), 0.3, 100)

    kept = suppress(found, 0.3, 100, one)

    assert kept.boxes.tolist() == as_one_class.boxes.tolist()
    assert len(set(kept.class_ids.tolist())) == 3
