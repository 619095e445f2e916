"""How well a detector does on labelled pictures, whatever runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from yoloslim.boxes.annotation import Annotation
from yoloslim.boxes.detections import Detections
from yoloslim.metrics.average_precision import ClassPrecision, average_precision
from yoloslim.metrics.confusion import confusion_matrix
from yoloslim.metrics.precision_recall import precision_recall
from yoloslim.metrics.truth import check_scenes

Sample = tuple[NDArray[np.uint8], Annotation]


class Detector(Protocol):
    """Whatever finds boxes in pictures."""

    def __call__(self, images: Sequence[NDArray[np.uint8]], /) -> Sequence[Detections]:
        """Gives the detections of each picture, shape (H, W, 3), BGR; boxes in pixels of that picture."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How well a detector does.

    Attributes:
        map50: COCO's mean average precision at IoU .5, 0..1.
        map: the same, mean over IoU .5 to .95.
        precision: mean over classes at IoU .5 and confidence ``at_conf``, 0..1.
        recall: the same, share of the truths that are found.
        f1: the same, mean of the classes' F1.
        at_conf: the confidence that these three belong to.
        per_class: average precision of each class, in the order of class ids.
        images: number of pictures.
        detections: number of detections.
        curves: shape (classes, 101), precision over recall at IoU .5, as `AveragePrecision` has it.
        confusion: shape (classes + 1, classes + 1), which class was taken for which at ``at_conf``, as
            `confusion_matrix` gives it.
    """

    map50: float
    map: float
    precision: float
    recall: float
    f1: float
    at_conf: float
    per_class: tuple[ClassPrecision, ...]
    images: int
    detections: int
    curves: NDArray[np.float64] = field(compare=False)
    confusion: NDArray[np.int64] = field(compare=False)

    def as_dict(self, names: Sequence[str]) -> dict[str, Any]:
        """Gives plain values for JSON, without what is drawn; ``names`` are in the order of class ids."""
        plain = {key: getattr(self, key) for key in self.__slots__ if key not in ("per_class", "curves", "confusion")}
        rows = enumerate(zip(names, self.per_class, strict=True))
        return plain | {
            "per_class": [{"class_id": index, "name": name, **row._asdict()} for index, (name, row) in rows]
        }


def evaluate(
    detector: Detector,
    samples: Iterable[Sample],
    num_classes: int,
    *,
    batch: int = 8,
    at_conf: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Gives the accuracy of a detector on labelled pictures.

    Detections of a class that is not labelled in their picture are neither right nor wrong, and not counted.

    Args:
        detector: what is measured; gets ``batch`` pictures at a time, fewer at the end.
        samples: pictures, shape (H, W, 3), BGR, with their truths; read once, ``batch`` of them held at a time.
        num_classes: number of classes of the labels.
        batch: pictures in a batch, 1 or more.
        at_conf: confidence of precision, recall and F1; the one with the best mean F1 when None.
        progress: called after each batch with the number of pictures done.

    Raises:
        DataError: a class id of labels or detections is not below ``num_classes``.
    """
    truths: list[Annotation] = []
    found: list[Detections] = []
    for images, batch_truths in _batches(samples, batch):
        found.extend(detector(images))
        truths.extend(batch_truths)
        if progress is not None:
            progress(len(truths))
    return _summary(truths, found, num_classes, at_conf)


def _batches(samples: Iterable[Sample], batch: int) -> Iterator[tuple[list[NDArray[np.uint8]], list[Annotation]]]:
    remaining = iter(samples)
    while taken := list(islice(remaining, batch)):
        yield [image for image, _ in taken], [truth for _, truth in taken]


def _judged(found: Detections, truth: Annotation) -> Detections:
    """Gives the detections that the labels can judge."""
    if not truth.unlabelled:
        return found
    return found.take(~np.isin(found.class_ids, list(truth.unlabelled)))


def _summary(
    truths: Sequence[Annotation], found: Sequence[Detections], num_classes: int, at_conf: float | None
) -> Evaluation:
    check_scenes(truths, found, num_classes)
    found = [_judged(one, truth) for one, truth in zip(found, truths, strict=True)]
    average = average_precision(truths, found, num_classes)
    at_one = precision_recall(truths, found, num_classes, at_conf=at_conf)
    return Evaluation(
        map50=average.map50,
        map=average.map,
        precision=at_one.precision,
        recall=at_one.recall,
        f1=at_one.f1,
        at_conf=at_one.at_conf,
        per_class=average.per_class,
        images=len(truths),
        detections=sum(len(one) for one in found),
        curves=average.curves,
        confusion=confusion_matrix(truths, found, num_classes, at_one.at_conf),
    )
