"""Boxes drawn on pictures."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from yoloslim.boxes.detections import Detections

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]
Strip = tuple[int, int, int, int]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_HEIGHT = 22  # of a capital letter at scale 1, pixels
_GOLDEN_RATIO = 0.618034
_LARGE_PX = 640  # side that small pictures are enlarged to
_TRIED = 4  # places for a label, each way from the corner of its box
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


def draw(picture: Picture, found: Detections, names: Sequence[str]) -> Picture:
    """Gives a copy of a picture with every box, its class and its score; the best is drawn on top.

    Args:
        picture: shape (H, W, 3), BGR.
        found: boxes in pixels of the picture, best first; what lies beyond it is drawn at its border.
        names: class names, by class id. OpenCV's font has ASCII alone: other names are drawn as the class id.
    """
    rows = zip(found.class_ids.tolist(), found.scores.tolist(), strict=True)
    labels = [f"{_readable(class_id, names)} {score:.2f}" for class_id, score in rows]
    return _drawn(picture, found.boxes, found.class_ids, labels)


def draw_large(picture: Picture, found: Detections, names: Sequence[str]) -> Picture:
    """Gives what ``draw`` gives on a small picture that was enlarged first, so that labels do not cover it."""
    factor = max(1, round(_LARGE_PX / max(picture.shape[:2])))
    enlarged = np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC), np.uint8)
    return draw(enlarged, replace(found, boxes=found.boxes * factor), names)


def beside(left: Picture, right: Picture, titles: tuple[str, str]) -> Picture:
    """Gives two pictures of equal size side by side, each below its title.

    Args:
        titles: in ASCII; cut where they do not fit.
    """
    height, width = left.shape[:2]
    scale = max(0.4, 0.022 * min(height, width) / _FONT_HEIGHT)
    strip_px = round(2 * scale * _FONT_HEIGHT)
    joined = np.full((height + strip_px, 2 * width, 3), 255, np.uint8)
    for index, (picture, title) in enumerate(zip((left, right), titles, strict=True)):
        half = joined[:, index * width : (index + 1) * width]
        half[strip_px:] = picture
        cv2.putText(half, title, (strip_px // 4, round(0.7 * strip_px)), _FONT, scale, _BLACK, 1, cv2.LINE_AA)
    return joined


def draw_boxes(
    picture: Picture, boxes: NDArray[np.float32], class_ids: NDArray[np.int64], names: Sequence[str]
) -> Picture:
    """Gives a copy of a picture with boxes and their classes.

    Args:
        picture: shape (H, W, 3), BGR.
        boxes: shape (N, 4), xyxy, pixels of the picture.
        class_ids: shape (N,).
        names: as for ``draw``.
    """
    return _drawn(picture, boxes, class_ids, [_readable(class_id, names) for class_id in class_ids.tolist()])


def _readable(class_id: int, names: Sequence[str]) -> str:
    return names[class_id] if names[class_id].isascii() else f"#{class_id}"


def _drawn(
    picture: Picture, boxes: NDArray[np.float32], class_ids: NDArray[np.int64], labels: Sequence[str]
) -> Picture:
    """Boxes with labels; the first is on top."""
    drawn = picture.copy()
    height, width = picture.shape[:2]
    thickness = max(1, round(min(height, width) / 250))
    corners = np.clip(np.nan_to_num(boxes), 0, np.array([width - 1, height - 1] * 2)).round().astype(int)
    rows = list(zip(corners.tolist(), map(class_colour, class_ids.tolist()), labels, strict=True))
    for (left, top, right, bottom), colour, _ in reversed(rows):
        cv2.rectangle(drawn, (left, top), (right, bottom), colour, thickness)
    taken: list[Strip] = []
    for (left, top, *_), colour, label in rows:
        taken.append(_write(drawn, label, (left, top), colour, taken))
    return drawn


def class_colour(class_id: int) -> Colour:
    """Gives the colour of a class, BGR: neighbouring ids lie far apart on the circle of hues."""
    red, green, blue = colorsys.hsv_to_rgb(class_id * _GOLDEN_RATIO % 1, 0.8, 1.0 if class_id % 2 else 0.8)
    return round(255 * blue), round(255 * green), round(255 * red)


def _write(drawn: Picture, text: str, corner: tuple[int, int], colour: Colour, taken: Sequence[Strip]) -> Strip:
    """Writes a label on a coloured strip near a box's corner, away from those that are taken, and gives the strip."""
    scale = max(0.4, 0.022 * min(drawn.shape[:2]) / _FONT_HEIGHT)
    weight = max(1, round(scale))
    (text_width, text_height), baseline = cv2.getTextSize(text, _FONT, scale, weight)
    strip = _place(corner, (text_width, text_height + baseline + weight), drawn, taken)
    cv2.rectangle(drawn, strip[:2], strip[2:], colour, cv2.FILLED)
    cv2.putText(
        drawn, text, (strip[0], strip[1] + text_height + weight), _FONT, scale, _ink(colour), weight, cv2.LINE_AA
    )
    return strip


def _place(corner: tuple[int, int], size: tuple[int, int], drawn: Picture, taken: Sequence[Strip]) -> Strip:
    """Gives the first free strip of that size above the corner, then below it; just below it where none is free."""
    (left, top), (width, height) = corner, size
    left = max(0, min(left, drawn.shape[1] - width))
    tops = [top - height * n for n in range(1, _TRIED) if top >= height * n] + [top + height * n for n in range(_TRIED)]
    strips = [(left, y, left + width, y + height) for y in tops]
    return next((strip for strip in strips if not any(_overlap(strip, other) for other in taken)), strips[-_TRIED])


def _overlap(a: Strip, b: Strip) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _ink(colour: Colour) -> Colour:
    """Black or white, whichever reads better on the colour (luma of BT.601)."""
    blue, green, red = colour
    return _BLACK if 0.114 * blue + 0.587 * green + 0.299 * red > 128 else _WHITE
