from __future__ import annotations

import numpy as np
import pytest

from yoloslim.boxes.annotation import Annotation
from yoloslim.boxes.detections import Detections
from yoloslim.errors import DataError
from yoloslim.metrics.truth import check_scenes, count_truths


def truth(class_ids: list[int], difficult: list[bool]) -> Annotation:
    return Annotation(np.zeros((len(class_ids), 4), np.float32), np.array(class_ids), np.array(difficult))


def test_a_truth_whose_parts_differ_in_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Annotation.difficult: expected shape \(2,\), found \(1,\)"):
        truth([0, 1], [False])


def test_difficult_truths_are_not_counted() -> None:
    assert count_truths([truth([0, 2, 2], [False, True, False]), Annotation.empty()], 4).tolist() == [1, 0, 1, 0]


def test_no_pictures_have_no_truths() -> None:
    assert count_truths([], 2).tolist() == [0, 0]


def test_labels_of_an_unknown_class_are_refused() -> None:
    with pytest.raises(DataError, match="labels: expected class ids 0 to 1 for 2 classes, found 2; use the data file"):
        check_scenes([truth([2], [False])], [Detections.empty()], 2)


def test_detections_of_an_unknown_class_are_refused() -> None:
    found = Detections(np.zeros((1, 4), np.float32), np.ones(1, np.float32), np.array([79]))
    with pytest.raises(DataError, match="detector: expected class ids 0 to 1 for 2 classes, found 79"):
        check_scenes([Annotation.empty()], [found], 2)


def test_truths_and_detections_must_be_of_the_same_pictures() -> None:
    with pytest.raises(ValueError, match="expected 1 pictures as in truths, found 0"):
        check_scenes([Annotation.empty()], [], 2)
