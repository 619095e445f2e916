"""From the head maps of one picture to its detections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from yoloslim.boxes.decode import decode
from yoloslim.boxes.detections import Detections
from yoloslim.boxes.nms import suppress
from yoloslim.boxes.placement import Placement
from yoloslim.errors import RecipeError
from yoloslim.graph.ops import Yolo


@dataclass(frozen=True, slots=True)
class DetectSettings:
    """Which candidates become detections.

    Attributes:
        conf: smallest objectness times class probability, 0..1.
        iou: largest overlap of two detections of a class, 0..1.
        max_detections: most detections of one picture, all classes together.
        clip: cut boxes at the border of the picture. Costs AP on truths that were not cut the same way.
        single_class: every class counts as the first, so that one object gives one detection whatever its classes.
        classes: the class ids that count; empty for all.
        agnostic: detections of different classes compete as those of one do; each keeps its own.

    Raises:
        RecipeError: a value is out of its range.
    """

    conf: float
    iou: float = 0.45
    max_detections: int = 100
    clip: bool = False
    single_class: bool = False
    classes: tuple[int, ...] = ()
    agnostic: bool = False

    def __post_init__(self) -> None:
        for name in ("conf", "iou"):
            if not 0 <= getattr(self, name) <= 1:
                raise RecipeError(f"{name}: expected a number from 0 to 1, found {getattr(self, name)}")
        if self.max_detections < 1:
            raise RecipeError(f"max_detections: expected 1 or more, found {self.max_detections}")


def detections_of(
    head_maps: Sequence[NDArray[np.float32]],
    yolos: Sequence[Yolo],
    size: tuple[int, int],
    placement: Placement,
    settings: DetectSettings,
) -> Detections:
    """Gives the detections of one picture, best first, in pixels of the picture.

    Args:
        head_maps: one a head, shape (anchors, h, w, 5 + classes), raw.
        yolos: the heads, in the same order.
        size: width and height of the network's input, pixels.
        placement: how the picture lies in the input.
        settings: what counts as a detection.
    """
    heads = [decode(head_map, yolo, size, settings.conf) for head_map, yolo in zip(head_maps, yolos, strict=True)]
    candidates = _joined(heads)
    if settings.classes:
        candidates = candidates.take(np.isin(candidates.class_ids, settings.classes))
    if settings.single_class:
        candidates = replace(candidates, class_ids=np.zeros_like(candidates.class_ids))
    groups = np.zeros_like(candidates.class_ids) if settings.agnostic else candidates.class_ids
    found = suppress(candidates, settings.iou, settings.max_detections, groups)
    boxes = placement.to_picture(found.boxes)
    if settings.clip:
        boxes = np.clip(boxes, 0, np.array([placement.width, placement.height] * 2, np.float32))
    return Detections(boxes, found.scores, found.class_ids)


def _joined(heads: Sequence[Detections]) -> Detections:
    return Detections(
        np.concatenate([head.boxes for head in heads]),
        np.concatenate([head.scores for head in heads]),
        np.concatenate([head.class_ids for head in heads]),
    )
