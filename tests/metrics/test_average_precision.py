from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from yoloslim.boxes.annotation import Annotation
from yoloslim.boxes.detections import Detections
from yoloslim.metrics.average_precision import ClassPrecision, average_precision

CLASSES = 5


def random_truth(rng: np.random.Generator, count: int) -> Annotation:
    corners = rng.uniform(0, 300, (count, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(4, 200, (count, 2))], axis=1).astype(np.float32)
    return Annotation(boxes, rng.integers(0, CLASSES - 1, count), rng.uniform(size=count) < 0.2)


def random_detections(rng: np.random.Generator, truth: Annotation, strays: int) -> Detections:
    """Every truth a few times, shaken; boxes anywhere and odd ones; tied scores; also the class that has no truth."""
    shaken = truth.boxes.repeat(3, axis=0)
    shaken = shaken + rng.normal(0, 4, shaken.shape).astype(np.float32)
    away = random_truth(rng, strays)
    odd = np.array([[3, 3, 3, 9], [9, 9, 2, 2], [9, 2, 2, 9], [-1e6, -1e6, 1e6, 1e6]], np.float32)
    boxes = np.concatenate([shaken, away.boxes, odd])
    class_ids = np.concatenate([truth.class_ids.repeat(3), rng.integers(0, CLASSES, strays + len(odd))])
    scores = rng.integers(1, 50, len(boxes))
    scores[: len(shaken)] = scores[: len(shaken)] // 2 + 25
    return Detections(boxes, scores.astype(np.float32) / 50, class_ids)


def pycocotools_precision(truths: Sequence[Annotation], detections: Sequence[Detections]) -> np.ndarray:
    """Its table of precision at each IoU, recall and class, -1 where a class has no truth."""
    annotations, results = [], []
    for image_id, (truth, found) in enumerate(zip(truths, detections, strict=True)):
        for box, class_id, difficult in zip(xywh(truth.boxes), truth.class_ids, truth.difficult, strict=True):
            area = 1e11 if difficult else box[2] * box[3]
            own = {"id": len(annotations) + 1, "area": area, "iscrowd": 0}
            annotations.append({"image_id": image_id, "category_id": int(class_id), "bbox": box, **own})
        for box, class_id, score in zip(xywh(found.boxes), found.class_ids, found.scores, strict=True):
            own = {"bbox": box, "score": float(score)}
            results.append({"image_id": image_id, "category_id": int(class_id), **own})
    with contextlib.redirect_stdout(io.StringIO()):
        ground = COCO()
        ground.dataset = {
            "images": [{"id": index} for index in range(len(truths))],
            "categories": [{"id": index} for index in range(CLASSES)],
            "annotations": annotations,
        }
        ground.createIndex()
        run = COCOeval(ground, ground.loadRes(results), "bbox")
        run.evaluate()
        run.accumulate()
    return np.asarray(run.eval["precision"][:, :, :, 0, -1])


def xywh(boxes: np.ndarray) -> list[list[float]]:
    corners = boxes.astype(np.float64)
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1).tolist()


def truth_of(*boxes: list[float], class_id: int = 0, difficult: bool = False) -> Annotation:
    count = len(boxes)
    return Annotation(np.array(boxes, np.float32), np.full(count, class_id), np.full(count, difficult))


def found_at(*rows: list[float], class_id: int = 0) -> Detections:
    """From rows of x1, y1, x2, y2, score."""
    table = np.array(rows, np.float32)
    return Detections(table[:, :4], table[:, 4], np.full(len(rows), class_id))


@pytest.mark.parametrize("seed", range(8))
def test_average_precision_equals_pycocotools(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truths = [random_truth(rng, int(count)) for count in rng.integers(0, 9, 12)]
    detections = [random_detections(rng, truth, strays=1200 if index == 0 else 8) for index, truth in enumerate(truths)]

    result = average_precision(truths, detections, CLASSES)

    oracle = pycocotools_precision(truths, detections)
    assert 0.1 < result.map < result.map50 < 0.9
    assert result.map == pytest.approx(oracle[oracle > -1].mean(), abs=1e-6)
    assert result.map50 == pytest.approx(oracle[0][oracle[0] > -1].mean(), abs=1e-6)
    for class_id, row in enumerate(result.per_class[:-1]):
        assert row.map == pytest.approx(oracle[:, :, class_id].mean(), abs=1e-6)
        assert row.map50 == pytest.approx(oracle[0, :, class_id].mean(), abs=1e-6)
    assert result.per_class[-1] == ClassPrecision(None, None, 0)
    np.testing.assert_allclose(result.curves[:-1], oracle[0].T[: CLASSES - 1], atol=1e-6)
    assert np.isnan(result.curves[-1]).all()


def test_perfect_detections_have_precision_one() -> None:
    result = average_precision([truth_of([0, 0, 9, 9])], [found_at([0, 0, 9, 9, 0.4])], 1)
    assert (result.map50, result.map, result.per_class) == (1.0, 1.0, (ClassPrecision(1.0, 1.0, 1),))


def test_a_difficult_truth_is_neither_missed_nor_wrongly_found() -> None:
    plain, hard = truth_of([0, 0, 9, 9]), truth_of([50, 50, 90, 90], difficult=True)
    sure = found_at([50, 50, 90, 90, 0.9])
    assert average_precision([plain, hard], [found_at([0, 0, 9, 9, 0.4]), sure], 1).map == 1.0
    assert average_precision([plain, hard], [found_at([0, 0, 9, 9, 0.4]), Detections.empty()], 1).map == 1.0
    assert average_precision([plain, Annotation.empty()], [found_at([0, 0, 9, 9, 0.4]), sure], 1).map == 0.5


def test_a_part_of_a_difficult_truth_is_wrong() -> None:
    truths = [truth_of([0, 0, 9, 9]), truth_of([50, 50, 90, 90], difficult=True)]
    detections = [found_at([0, 0, 9, 9, 0.4]), found_at([50, 50, 60, 60, 0.9])]
    assert average_precision(truths, detections, 1).map50 == 0.5


def test_no_truths_give_zero_and_no_class_values() -> None:
    result = average_precision([Annotation.empty()], [found_at([0, 0, 9, 9, 0.4])], 2)
    assert (result.map50, result.map) == (0.0, 0.0)
    assert result.per_class == (ClassPrecision(None, None, 0),) * 2


def test_only_difficult_truths_give_zero() -> None:
    result = average_precision([truth_of([0, 0, 9, 9], difficult=True)], [found_at([0, 0, 9, 9, 0.4])], 1)
    assert (result.map, result.per_class) == (0.0, (ClassPrecision(None, None, 0),))


def test_no_detections_give_zero() -> None:
    result = average_precision([truth_of([0, 0, 9, 9], class_id=1)], [Detections.empty()], 2)
    assert (result.map50, result.map) == (0.0, 0.0)
    assert result.per_class == (ClassPrecision(None, None, 0), ClassPrecision(0.0, 0.0, 1))


def test_no_pictures_give_zero() -> None:
    assert average_precision([], [], 1).map50 == 0.0


def test_boxes_without_area_are_counted() -> None:
    truths = [truth_of([0, 0, 9, 9], [5, 5, 5, 8])]
    found = found_at([0, 0, 9, 9, 0.4], [3, 3, 3, 3, 0.9])
    assert average_precision(truths, [found], 1).map50 == pytest.approx(51 / 101 * 0.5)


def test_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    average_precision([truth_of([0, 0, 9, 9])], [found_at([0, 0, 9, 9, 0.4])], 1)
    assert capsys.readouterr() == ("", "")
