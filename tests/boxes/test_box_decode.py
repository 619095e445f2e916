from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from yoloslim.boxes.decode import decode
from yoloslim.boxes.detections import Detections
from yoloslim.graph.ops import Yolo

SIZE = (96, 64)
YOLO = Yolo(mask=(2, 0), anchors=((10.0, 14.0), (23.0, 27.0), (37.0, 58.0)), classes=3)
HEADS = {
    "plain": YOLO,
    "scale_x_y": replace(YOLO, scale_x_y=1.05),
    "new_coords": replace(YOLO, scale_x_y=2.0, new_coords=True),
    "gaussian": replace(YOLO, scale_x_y=1.1, gaussian=True),
    "region": replace(YOLO, anchors=((0.4, 0.6), (1.5, 1.25), (3, 2)), region=True, class_score="softmax"),
}


def head_map(yolo: Yolo, seed: int, spread: float = 2.0) -> np.ndarray:
    raw = np.random.default_rng(seed).normal(0, spread, (2, 2, 3, yolo.values)).astype(np.float32)
    return (1 / (1 + np.exp(-raw))).astype(np.float32) if yolo.new_coords else raw


def one_cell(values: list[float], yolo: Yolo = YOLO) -> np.ndarray:
    """A head map whose anchor 1, row 1, column 2 alone has an object."""
    raw = np.full((2, 2, 3, yolo.values), -30.0, np.float32)
    raw[1, 1, 2] = values
    return raw


def expected_rows(raw: np.ndarray, yolo: Yolo, conf: float) -> list[list[float]]:
    """Boxes, score and class one after the other, from the definition."""
    logistic = (lambda v: v) if yolo.new_coords else (lambda v: 1 / (1 + math.exp(-v)))
    size_of = (lambda v: (2 * v) ** 2) if yolo.new_coords else math.exp
    rows = []
    for anchor, row, column in np.ndindex(raw.shape[:3]):
        values = list(map(float, raw[anchor, row, column]))
        uncertain = [logistic(values.pop(place)) for place in (7, 5, 3, 1)] if yolo.gaussian else [0.0]
        x, y, w, h, objectness, *classes = values
        shift = (yolo.scale_x_y - 1) / 2
        cx = (logistic(x) * yolo.scale_x_y - shift + column) * SIZE[0] / raw.shape[2]
        cy = (logistic(y) * yolo.scale_x_y - shift + row) * SIZE[1] / raw.shape[1]
        cell = (SIZE[0] / raw.shape[2], SIZE[1] / raw.shape[1])
        width, height = (size_of(v) * side for v, side in zip((w, h), yolo.used_anchors(cell)[anchor], strict=True))
        box = [cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2]
        exponents = [math.exp(value) for value in classes]
        softmax = [value / sum(exponents) for value in exponents]
        shares = softmax if yolo.class_score == "softmax" else [logistic(value) for value in classes]
        certainty = 1 - sum(uncertain) / len(uncertain)
        scores = [logistic(objectness) * share * certainty for share in shares]
        rows += [[*box, score, class_id] for class_id, score in enumerate(scores) if score > conf]
    return rows


def rows_of(found: Detections) -> np.ndarray:
    return np.column_stack([found.boxes, found.scores, found.class_ids])


@pytest.mark.parametrize("kind", HEADS)
@given(seed=st.integers(0, 10**6), conf=st.sampled_from([0.0, 0.001, 0.05, 0.3, 0.9, 1.0]))
def test_decoding_follows_the_definition(kind: str, seed: int, conf: float) -> None:
    raw = head_map(HEADS[kind], seed)
    candidates = np.reshape(expected_rows(raw, HEADS[kind], -1.0), (-1, 6))
    assume(np.abs(candidates[:, 4] - conf).min() > 1e-6)  # where float32 may decide otherwise than float64

    found = decode(raw, HEADS[kind], SIZE, conf)

    np.testing.assert_allclose(rows_of(found), candidates[candidates[:, 4] > conf], rtol=1e-4, atol=1e-4)


def test_zero_logits_give_the_anchor_in_the_middle_of_its_cell() -> None:
    found = decode(one_cell([0, 0, 0, 0, 30, 30, -30, -30]), YOLO, SIZE, 0.5)
    assert found.class_ids.tolist() == [0]
    np.testing.assert_allclose(found.boxes, [[80 - 5, 48 - 7, 80 + 5, 48 + 7]], rtol=1e-6)  # cells of 32 x 32


def test_a_box_counts_once_for_every_class_above_the_threshold() -> None:
    found = decode(one_cell([0, 0, 0, 0, 30, 1, -5, 2]), YOLO, SIZE, 0.5)
    assert found.class_ids.tolist() == [0, 2]
    np.testing.assert_array_equal(found.boxes[0], found.boxes[1])


def test_the_score_of_a_gaussian_head_falls_with_the_mean_uncertainty() -> None:
    yolo = HEADS["gaussian"]
    sure, unsure = (
        decode(one_cell([0, u, 0, u, 0, -30, 0, -30, 30, 30, -30, -30], yolo), yolo, SIZE, 0.1) for u in (-30, 0)
    )

    np.testing.assert_allclose([sure.scores[0], unsure.scores[0]], [1, 0.75], rtol=1e-6)
    np.testing.assert_array_equal(sure.boxes, unsure.boxes)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("channel", range(4))
def test_a_box_that_is_not_finite_is_dropped(value: float, channel: int) -> None:
    cell = [0.0, 0, 0, 0, 30, 30, -30, -30]
    cell[channel] = value
    assert len(decode(one_cell(cell), YOLO, SIZE, 0.1)) == 0


def test_scores_that_are_no_number_are_dropped() -> None:
    assert len(decode(one_cell([0, 0, 0, 0, np.nan, 30, 30, 30]), YOLO, SIZE, 0.1)) == 0
    assert decode(one_cell([0, 0, 0, 0, 30, np.nan, 30, -30]), YOLO, SIZE, 0.1).class_ids.tolist() == [1]


@pytest.mark.parametrize("kind", HEADS)
def test_extreme_values_saturate_without_a_warning(kind: str) -> None:
    raw = np.random.default_rng(0).choice(
        np.array([-3e38, -500, 0, 500, 3e38, np.inf, np.nan], np.float32), (8, 8, 8, HEADS[kind].values)
    )
    raw = raw[:2]
    found = decode(raw, HEADS[kind], SIZE, 0.0)
    assert len(found) > 0
    assert np.isfinite(found.boxes).all()
    assert np.isfinite(found.scores).all()


def test_a_transposed_map_gives_the_same_boxes() -> None:
    raw = head_map(YOLO, 1)
    view = np.ascontiguousarray(raw.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(rows_of(decode(view, YOLO, SIZE, 0.05)), rows_of(decode(raw, YOLO, SIZE, 0.05)))


def test_a_head_map_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected shape \(2, h, w, 8\), found \(2, 2, 3, 9\)"):
        decode(np.zeros((2, 2, 3, 9), np.float32), YOLO, SIZE, 0.5)


@pytest.mark.parametrize("kind", ["plain", "scale_x_y"])
def test_decoding_equals_opencv(kind: str) -> None:
    yolo = HEADS[kind]
    image = np.random.default_rng(0).uniform(0, 1, (1, 4, 2, 3)).astype(np.float32)
    net = opencv_network(yolo)
    net.setInput(image)
    rows = net.forward()  # relative cx, cy, w, h, objectness, scores
    net.setInput(image)
    raw = net.forward("conv_0").reshape(2, 8, 2, 3).transpose(0, 2, 3, 1)

    found = decode(raw, yolo, (3, 2), 0.001)  # the input has the size of the map: stride 1

    index, class_ids = np.nonzero(rows[:, 5:] > 0.001)
    relative = np.column_stack([rows[index, :2] - rows[index, 2:4] / 2, rows[index, :2] + rows[index, 2:4] / 2])
    expected = np.column_stack([relative * [3, 2, 3, 2], rows[index, class_ids + 5], class_ids])
    by_score = np.argsort(-found.scores), np.argsort(-expected[:, 4])
    np.testing.assert_allclose(rows_of(found)[by_score[0]], expected[by_score[1]], rtol=1e-4, atol=1e-4)


def opencv_network(yolo: Yolo) -> cv2.dnn.Net:
    """One 1x1 convolution of random weights and the head, on an input of 3 x 2 pixels with 4 channels."""
    anchors = ",".join(f"{side}" for anchor in yolo.anchors for side in anchor)
    text = (
        "[net]\nwidth=3\nheight=2\nchannels=4\n"
        "[convolutional]\nfilters=16\nsize=1\nstride=1\npad=0\nactivation=linear\n"
        f"[yolo]\nmask={','.join(map(str, yolo.mask))}\nanchors={anchors}\nclasses={yolo.classes}\n"
        f"num={len(yolo.anchors)}\nscale_x_y={yolo.scale_x_y}\nthresh=0.0001\n"
    )
    header = np.array([0, 2, 5, 0, 0], np.int32).tobytes()
    values = np.random.default_rng(1).normal(0, 1, 16 + 16 * 4).astype(np.float32).tobytes()
    buffers = (np.frombuffer(part, np.uint8) for part in (text.encode(), header + values))
    return cv2.dnn.readNetFromDarknet(*buffers)
