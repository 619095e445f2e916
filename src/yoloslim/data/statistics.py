"""A data set in numbers: how many of each class, how large, of what shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yoloslim.boxes.placement import ResizeMode
from yoloslim.data.survey import Survey


@dataclass(frozen=True, slots=True)
class Spread:
    """How a value is spread over boxes or pictures: least, 10 %, 50 % and 90 % are at most, greatest; 0 of nothing."""

    least: float
    p10: float
    p50: float
    p90: float
    most: float


@dataclass(frozen=True, slots=True)
class ClassCount:
    """How often a class occurs: in how many boxes, and in how many pictures."""

    name: str
    boxes: int
    pictures: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """The numbers of one split.

    Attributes:
        pictures: those whose labels can be read.
        backgrounds: pictures without a box.
        boxes: all good ones.
        difficult: boxes that are not trained on; counted in all others.
        boxes_a_picture: boxes of one picture.
        side_px: square root of a box's area, pixels of the network's input.
        side_share: square root of the share of its picture that a box covers, 0..1.
        aspect: width over height of a box, pixels of its picture.
        classes: by class id.
    """

    pictures: int
    backgrounds: int
    boxes: int
    difficult: int
    boxes_a_picture: Spread
    side_px: Spread
    side_share: Spread
    aspect: Spread
    classes: tuple[ClassCount, ...]


def statistics_of(survey: Survey, size: tuple[int, int], resize: ResizeMode) -> Statistics:
    """Gives the numbers of a split.

    Args:
        size: width and height of the network's input.
        resize: how pictures are fitted into it.
    """
    counts = boxes_a_picture(survey)
    return Statistics(
        pictures=len(survey.picture_sizes),
        backgrounds=int((counts == 0).sum()),
        boxes=len(survey.boxes),
        difficult=int(survey.boxes.difficult.sum()),
        boxes_a_picture=_spread(counts),
        side_px=_spread(sides_px(survey, size, resize)),
        side_share=_spread(side_shares(survey)),
        aspect=_spread(aspects(survey)),
        classes=_class_counts(survey),
    )


def boxes_a_picture(survey: Survey) -> NDArray[np.int64]:
    """Gives the number of boxes of every picture, shape (P,)."""
    return np.bincount(survey.pictures, minlength=len(survey.picture_sizes))


def sides_px(survey: Survey, size: tuple[int, int], resize: ResizeMode) -> NDArray[np.float64]:
    """Gives the square root of every box's area, shape (N,), pixels of the network's input."""
    sides: NDArray[np.float64] = np.sqrt(survey.sizes_at(size, resize).prod(1))
    return sides


def side_shares(survey: Survey) -> NDArray[np.float64]:
    """Gives the square root of the share of its picture that every box covers, shape (N,), 0..1."""
    shares = survey.box_sizes / survey.picture_sizes[survey.pictures]
    sides: NDArray[np.float64] = np.sqrt(shares.prod(1))
    return sides


def aspects(survey: Survey) -> NDArray[np.float64]:
    """Gives width over height of every box, shape (N,)."""
    return survey.box_sizes[:, 0] / survey.box_sizes[:, 1]


def _class_counts(survey: Survey) -> tuple[ClassCount, ...]:
    boxes = np.bincount(survey.boxes.class_ids, minlength=len(survey.names))
    in_pictures = np.unique(np.stack([survey.boxes.class_ids, survey.pictures]), axis=1)[0]
    pictures = np.bincount(in_pictures, minlength=len(survey.names))
    rows = zip(survey.names, boxes.tolist(), pictures.tolist(), strict=True)
    return tuple(ClassCount(name, num_boxes, num_pictures) for name, num_boxes, num_pictures in rows)


def _spread(values: NDArray[Any]) -> Spread:
    if not len(values):
        return Spread(0, 0, 0, 0, 0)
    return Spread(*(float(value) for value in np.quantile(values, [0, 0.1, 0.5, 0.9, 1])))
