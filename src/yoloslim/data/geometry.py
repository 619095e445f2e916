"""Pictures changed together with their boxes: flip, affine map, mosaic, resize, blend, paint over.

Coordinates are continuous: pixel ``i`` covers ``i`` to ``i + 1``, so a box of 0..width covers the whole picture.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from yoloslim.boxes.annotation import Annotation
from yoloslim.boxes.placement import GREY, ResizeMode
from yoloslim.data.pictures import Picture

Matrix = NDArray[np.float64]
"""An affine map of the plane, shape (3, 3): ``matrix @ (x, y, 1)``, pixels to pixels."""

MOSAIC_PICTURES = 4


class Pair(NamedTuple):
    """A picture with what is in it.

    Attributes:
        picture: shape (H, W, 3), uint8, BGR.
        annotation: its objects, in pixels of ``picture``.
    """

    picture: Picture
    annotation: Annotation


def flip(picture: Picture, annotation: Annotation, *, vertical: bool = False) -> Pair:
    """Gives the mirror image: left becomes right, or top becomes bottom."""
    axis, low = (0, 1) if vertical else (1, 0)
    boxes = annotation.boxes.copy()
    boxes[:, [low, low + 2]] = picture.shape[axis] - annotation.boxes[:, [low + 2, low]]
    return Pair(np.asarray(cv2.flip(picture, axis), np.uint8), dataclasses.replace(annotation, boxes=boxes))


def warp(picture: Picture, annotation: Annotation, matrix: Matrix, size: tuple[int, int]) -> Pair:
    """Gives the picture mapped by ``matrix`` onto a grey canvas, bilinear; boxes become those of their moved corners.

    Nothing is cut: boxes may reach over the canvas, or lie outside.

    Args:
        matrix: from pixels of ``picture`` to pixels of the canvas.
        size: width and height of the canvas.
    """
    # OpenCV's coordinates are those of pixel centres, half a pixel off ours.
    of_centres = translation(-0.5, -0.5) @ matrix @ translation(0.5, 0.5)
    moved = cv2.warpAffine(picture, of_centres[:2], size, flags=cv2.INTER_LINEAR, borderValue=(GREY, GREY, GREY))
    return Pair(
        np.asarray(moved, np.uint8), dataclasses.replace(annotation, boxes=moved_boxes(annotation.boxes, matrix))
    )


def moved_boxes(boxes: NDArray[np.float32], matrix: Matrix) -> NDArray[np.float32]:
    """Gives the upright bounding boxes of boxes mapped by ``matrix``; both have shape (N, 4), xyxy."""
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)  # (N, corner, xy)
    moved = corners @ matrix[:2, :2].T + matrix[:2, 2]
    return np.concatenate([moved.min(axis=1), moved.max(axis=1)], axis=1).astype(np.float32)


def cut(
    annotation: Annotation, size: tuple[int, int], *, min_visible: float = 0.0, min_side_px: float = 0.0
) -> Annotation:
    """Gives the objects cut at the border of their picture, without those of which too little is left.

    Args:
        size: width and height of the picture.
        min_visible: share of a box's area, 0..1, that must lie inside; a box without area never stays.
        min_side_px: what is left must be at least this wide and high.
    """
    boxes = np.clip(annotation.boxes, 0, np.array(size * 2, np.float32))
    sides = boxes[:, 2:] - boxes[:, :2]
    whole = np.prod(annotation.boxes[:, 2:] - annotation.boxes[:, :2], axis=1)
    visible = np.prod(sides, axis=1)
    keep = (visible > 0) & (visible >= min_visible * whole) & (sides >= min_side_px).all(axis=1)
    return chosen(dataclasses.replace(annotation, boxes=boxes), keep)


def resize_to(picture: Picture, annotation: Annotation, size: tuple[int, int]) -> Pair:
    """Gives the picture at another size (width, height), bilinear."""
    height, width = picture.shape[:2]
    if (width, height) == size:
        return Pair(picture, annotation)
    gains = np.array([size[0] / width, size[1] / height] * 2, np.float32)
    resized = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
    return Pair(np.asarray(resized, np.uint8), dataclasses.replace(annotation, boxes=annotation.boxes * gains))


def fitted_size(picture: Picture, size: tuple[int, int], resize: ResizeMode) -> tuple[int, int]:
    """Gives the width and height that ``picture`` takes in a network's input of ``size``, borders left out."""
    if resize == "stretch":
        return size
    height, width = picture.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def lay_mosaic(pairs: Sequence[Pair]) -> tuple[Pair, tuple[int, int]]:
    """Gives four pictures laid around one point, the rest grey, and that point (x, y).

    Nothing is cut or scaled; the order is top left, top right, bottom left, bottom right::

          +----+
        +-+ 0  +---+
        | |    | 1 |
        +-+----x---+--+
          | 2  |   3  |
          +----+------+

    Raises:
        ValueError: there are not four pictures.
    """
    if len(pairs) != MOSAIC_PICTURES:
        raise ValueError(f"a mosaic takes {MOSAIC_PICTURES} pictures, found {len(pairs)}")
    heights, widths = zip(*(pair.picture.shape[:2] for pair in pairs), strict=True)
    x, y = max(widths[0], widths[2]), max(heights[0], heights[1])
    shape = (y + max(heights[2], heights[3]), x + max(widths[1], widths[3]), 3)
    canvas = np.full(shape, GREY, np.uint8)
    laid = []
    for number, (picture, annotation) in enumerate(pairs):
        height, width = picture.shape[:2]
        left, top = x - width * (number % 2 == 0), y - height * (number < 2)
        canvas[top : top + height, left : left + width] = picture
        offset = np.array([left, top] * 2, np.float32)
        laid.append(dataclasses.replace(annotation, boxes=annotation.boxes + offset))
    return Pair(canvas, joined(laid)), (x, y)


def blend(first: Pair, second: Pair, share: float) -> Pair:
    """Gives two pictures of one size laid over each other, with the objects of both.

    Args:
        share: of the first picture, 0..1; the second has the rest.
    """
    picture = cv2.addWeighted(first.picture, share, second.picture, 1 - share, 0)
    return Pair(np.asarray(picture, np.uint8), joined([first.annotation, second.annotation]))


def paint_over(
    picture: Picture, annotation: Annotation, hole: tuple[int, int, int, int], *, min_visible: float = 0.0
) -> Pair:
    """Gives the picture with a grey rectangle, without the objects of which too little is left to see.

    Args:
        hole: the rectangle, xyxy, pixels, inside the picture.
        min_visible: share of a box's area, 0..1, that must not be painted over; a hidden box never stays.
    """
    left, top, right, bottom = hole
    painted = picture.copy()
    painted[top:bottom, left:right] = GREY
    boxes = annotation.boxes
    low, high = np.maximum(boxes[:, :2], (left, top)), np.minimum(boxes[:, 2:], (right, bottom))
    hidden = np.clip(high - low, 0, None).prod(axis=1)
    whole = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return Pair(painted, chosen(annotation, (hidden < whole) & (whole - hidden >= min_visible * whole)))


def chosen(annotation: Annotation, keep: NDArray[np.bool_]) -> Annotation:
    """Gives the annotation with the objects of ``keep``, shape (N,), alone."""
    boxes, class_ids, difficult = annotation.boxes[keep], annotation.class_ids[keep], annotation.difficult[keep]
    return dataclasses.replace(annotation, boxes=boxes, class_ids=class_ids, difficult=difficult)


def joined(annotations: Sequence[Annotation]) -> Annotation:
    """Gives the objects of several annotations of one picture as one, in their order.

    A class that is not labelled in one of them is not labelled in the whole.
    """
    return Annotation(
        np.concatenate([annotation.boxes for annotation in annotations]),
        np.concatenate([annotation.class_ids for annotation in annotations]),
        np.concatenate([annotation.difficult for annotation in annotations]),
        frozenset[int]().union(*(annotation.unlabelled for annotation in annotations)),
    )


def translation(x: float, y: float) -> Matrix:
    """Gives the map that adds ``(x, y)``, pixels."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


def scaling(x: float, y: float) -> Matrix:
    """Gives the map that multiplies by ``(x, y)``."""
    return np.diag([x, y, 1.0])


def rotation(degrees: float) -> Matrix:
    """Gives the turn around the origin, clockwise as one sees it (y points down)."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], np.float64)


def shearing(x_degrees: float, y_degrees: float) -> Matrix:
    """Gives the map that slants vertical lines by ``x_degrees`` and horizontal ones by ``y_degrees``."""
    x, y = math.tan(math.radians(x_degrees)), math.tan(math.radians(y_degrees))
    return np.array([[1, x, 0], [y, 1, 0], [0, 0, 1]], np.float64)
