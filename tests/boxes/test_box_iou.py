from __future__ import annotations

import numpy as np

from yoloslim.boxes.iou import pairwise_iou


def boxes(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def test_iou_is_the_shared_area_over_the_joint_one() -> None:
    a = boxes((0, 0, 4, 4), (10, 10, 12, 12))
    b = boxes((0, 0, 4, 4), (2, 0, 6, 4), (4, 0, 8, 4))
    np.testing.assert_allclose(pairwise_iou(a, b), [[1, 8 / 24, 0], [0, 0, 0]], rtol=0, atol=1e-15)


def test_boxes_without_area_overlap_nothing() -> None:
    flat = boxes((1, 1, 1, 3), (3, 3, 1, 1))
    assert not pairwise_iou(flat, boxes((0, 0, 4, 4), (1, 1, 1, 3), (3, 3, 1, 1))).any()


def test_huge_boxes_do_not_overflow() -> None:
    huge = boxes((-3e38, -3e38, 3e38, 3e38))
    np.testing.assert_allclose(pairwise_iou(huge, huge), [[1.0]])


def test_no_boxes_give_an_empty_table() -> None:
    assert pairwise_iou(boxes(), boxes((0, 0, 1, 1))).shape == (0, 1)
