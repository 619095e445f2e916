from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from yoloslim.boxes.annotation import Annotation
from yoloslim.boxes.detections import Detections
from yoloslim.engine.evaluate import Sample, evaluate
from yoloslim.metrics.average_precision import ClassPrecision

NAMES = ("cat", "dog", "bird")


def sample(number: int) -> Sample:
    """A picture whose first pixel is its number, with one object of class 0 or 1."""
    image = np.full((20, 20, 3), number, np.uint8)
    boxes = np.array([[number, 1, number + 9, 12]], np.float32)
    return image, Annotation(boxes, np.array([number % 2]), np.array([False]))


def seer(images: Sequence[np.ndarray]) -> list[Detections]:
    """Finds every object of class 0 exactly and calls those of class 1 the same."""
    numbers = [int(image[0, 0, 0]) for image in images]
    boxes = [np.array([[number, 1, number + 9, 12]], np.float32) for number in numbers]
    return [Detections(box, np.full(1, 0.75, np.float32), np.zeros(1, np.int64)) for box in boxes]


def test_a_detector_is_measured_over_all_batches() -> None:
    sizes: list[int] = []

    def detector(images: Sequence[np.ndarray]) -> list[Detections]:
        sizes.append(len(images))
        return seer(images)

    result = evaluate(detector, map(sample, range(10)), 3, batch=4)

    assert sizes == [4, 4, 2]
    assert (result.images, result.detections, result.at_conf) == (10, 10, 0.75)
    assert (result.precision, result.recall, result.f1) == (0.25, 0.5, pytest.approx(1 / 3))
    assert result.per_class[1:] == (ClassPrecision(0.0, 0.0, 5), ClassPrecision(None, None, 0))
    assert result.map50 == pytest.approx(result.map) == result.per_class[0].map50 / 2


def test_what_is_found_of_an_unlabelled_class_counts_for_nothing() -> None:
    def unlabelled(number: int) -> Sample:
        image, truth = sample(number)
        return image, replace(truth, unlabelled=frozenset({0} if number % 2 else {2}))

    result = evaluate(seer, map(unlabelled, range(4)), 3)

    assert result.detections == 2
    assert result.per_class[0] == ClassPrecision(1.0, 1.0, 2)


def test_the_confidence_can_be_fixed() -> None:
    result = evaluate(seer, map(sample, range(4)), 3, at_conf=0.9)
    assert (result.recall, result.at_conf) == (0.0, 0.9)
    assert result.map50 > 0


def test_a_report_is_plain_json_with_the_names_of_the_classes() -> None:
    row = json.loads(json.dumps(evaluate(seer, map(sample, range(4)), 3).as_dict(NAMES), allow_nan=False))
    assert list(row) == [
        "map50", "map", "precision", "recall", "f1", "at_conf", "images", "detections", "per_class",
    ]  # fmt: skip
    assert [each["name"] for each in row["per_class"]] == list(NAMES)
    assert row["per_class"][2] == {"class_id": 2, "name": "bird", "map50": None, "map": None, "truths": 0}


def test_progress_hears_of_the_pictures_done() -> None:
    heard: list[int] = []
    evaluate(seer, map(sample, range(5)), 3, batch=2, progress=heard.append)
    assert heard == [2, 4, 5]


def test_no_more_than_a_batch_is_read_ahead() -> None:
    read: list[int] = []
    ahead: list[int] = []

    def samples() -> Iterator[Sample]:
        for number in range(6):
            read.append(number)
            yield sample(number)

    evaluate(seer, samples(), 3, batch=2, progress=lambda done: ahead.append(len(read) - done))
    assert max(ahead) == 0


def test_no_pictures_give_zeros() -> None:
    result = evaluate(seer, [], 3)
    assert (result.map50, result.f1, result.images, result.detections) == (0.0, 0.0, 0, 0)


def test_a_detector_that_skips_a_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 3 pictures as in truths, found 2"):
        evaluate(lambda images: seer(images)[1:], map(sample, range(3)), 3)
