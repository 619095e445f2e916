"""Average precision as COCO defines it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray

from yoloslim.boxes.annotation import Annotation
from yoloslim.boxes.detections import Detections
from yoloslim.metrics.truth import check_scenes, count_truths

_MAX_DETECTIONS = 100
_RECALLS = 101
_ANY_AREA = (0.0, 1e10)  # square pixels: COCO's own range, so that its oddities stay (it overlooks inverted boxes)
_IGNORED_AREA = 1e11  # a truth outside of the range is ignored, and its overlap measured as usual: not so for iscrowd


class ClassPrecision(NamedTuple):
    """Average precision of one class: at IoU .5, over IoU .5 to .95 (None without truths), and its number of truths."""

    map50: float | None
    map: float | None
    truths: int


@dataclass(frozen=True, slots=True)
class AveragePrecision:
    """Average precision of a data set.

    Attributes:
        map50: mean over the classes present, at IoU .5, 0..1; 0 when there are no truths.
        map: mean over the classes present and IoU .5 to .95 in steps of .05, 0..1.
        per_class: one entry a class, in the order of class ids; difficult truths are not counted.
        curves: shape (classes, 101), precision at IoU .5 and recall 0, .01, ... 1, 0..1; nan for a class without
            truths. The mean of a row is the class's average precision.
    """

    map50: float
    map: float
    per_class: tuple[ClassPrecision, ...]
    curves: NDArray[np.float64] = field(compare=False)


def average_precision(
    truths: Sequence[Annotation], detections: Sequence[Detections], num_classes: int
) -> AveragePrecision:
    """Gives COCO's average precision: 101 points of recall, the 100 best detections of a picture in each class.

    A difficult truth takes one detection out of the count, as a truth outside of COCO's range of areas does.

    Args:
        truths: one a picture.
        detections: one a picture, in the same order and frame.
        num_classes: number of classes.

    Raises:
        DataError: a class id is not below ``num_classes``.
    """
    check_scenes(truths, detections, num_classes)
    counts = count_truths(truths, num_classes)
    present = np.flatnonzero(counts)
    precision = _precision(truths, detections, present) if len(present) else np.zeros((10, _RECALLS, 0))
    scores = precision.mean(axis=1)
    by_class: dict[int, NDArray[np.float64]] = dict(zip(present.tolist(), scores.T, strict=True))
    curves = np.full((num_classes, _RECALLS), np.nan)
    curves[present] = precision[0].T
    return AveragePrecision(
        map50=float(scores[0].mean()) if len(present) else 0.0,
        map=float(scores.mean()) if len(present) else 0.0,
        per_class=tuple(_class_precision(by_class.get(index), int(count)) for index, count in enumerate(counts)),
        curves=curves,
    )


def _class_precision(scores: NDArray[np.float64] | None, count: int) -> ClassPrecision:
    if scores is None:
        return ClassPrecision(None, None, count)
    return ClassPrecision(float(scores[0]), float(scores.mean()), count)


def _precision(
    truths: Sequence[Annotation], detections: Sequence[Detections], present: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Precision at each of 10 IoU thresholds and 101 recalls for each class present, (10, 101, len(present))."""
    ground = COCO(_ground(truths, present), print_function=_silent)
    run = COCOeval_faster(ground, ground.loadRes(list(_results(detections))), "bbox", print_function=_silent)
    run.params.areaRng, run.params.areaRngLbl = [list(_ANY_AREA)], ["all"]
    run.params.maxDets = [_MAX_DETECTIONS]
    run.evaluate()
    run.accumulate()
    precision = np.asarray(run.eval["precision"], np.float64)  # (IoU, recall, class, area, detections)
    return precision[:, :, :, 0, 0]


def _ground(truths: Sequence[Annotation], present: NDArray[np.int64]) -> dict[str, Any]:
    return {
        "images": [{"id": index} for index in range(len(truths))],
        "categories": [{"id": class_id, "name": str(class_id)} for class_id in present.tolist()],
        "annotations": [{"id": index, **found} for index, found in enumerate(_annotations(truths), start=1)],
    }


def _annotations(truths: Sequence[Annotation]) -> Iterator[dict[str, Any]]:
    for image_id, truth in enumerate(truths):
        boxes = _xywh(truth.boxes)
        rows = zip(boxes.tolist(), truth.class_ids.tolist(), truth.difficult.tolist(), strict=True)
        for box, class_id, difficult in rows:
            area = _IGNORED_AREA if difficult else box[2] * box[3]
            yield {"image_id": image_id, "category_id": class_id, "bbox": box, "area": area, "iscrowd": 0}


def _results(detections: Sequence[Detections]) -> Iterator[dict[str, Any]]:
    for image_id, found in enumerate(detections):
        rows = zip(_xywh(found.boxes).tolist(), found.scores.tolist(), found.class_ids.tolist(), strict=True)
        for box, score, class_id in rows:
            yield {"image_id": image_id, "category_id": class_id, "bbox": box, "score": score}


def _xywh(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    corners = boxes.astype(np.float64)
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


def _silent(*_: object) -> None:
    """Takes the place of COCO's printing."""
