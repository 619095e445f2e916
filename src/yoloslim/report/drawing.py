"""Boxes drawn on pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import supervision
from numpy.typing import NDArray

from yoloslim.boxes.detections import Detections


def draw(picture: NDArray[np.uint8], found: Detections, names: Sequence[str]) -> NDArray[np.uint8]:
    """Gives a copy of a picture with every box, its class and its score.

    Args:
        picture: shape (H, W, 3), BGR.
        found: boxes in pixels of the picture.
        names: class names, by class id.
    """
    size = (picture.shape[1], picture.shape[0])
    thickness = supervision.calculate_optimal_line_thickness(size)
    text_scale = supervision.calculate_optimal_text_scale(size)
    boxes = supervision.Detections(xyxy=found.boxes, confidence=found.scores, class_id=found.class_ids.astype(int))
    labels = [f"{names[i]} {score:.2f}" for i, score in zip(found.class_ids, found.scores, strict=True)]
    drawn = supervision.BoxAnnotator(thickness=thickness).annotate(picture.copy(), boxes)
    labeller = supervision.LabelAnnotator(text_scale=text_scale, text_thickness=max(1, thickness // 2))
    return np.asarray(labeller.annotate(drawn, boxes, labels=labels), np.uint8)
