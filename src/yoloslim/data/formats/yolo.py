"""YOLO label files: one object a line, ``class cx cy w h``, as shares of the picture's width and height.

Also the oriented form ``class x1 y1 x2 y2 x3 y3 x4 y4`` (four corners): the upright box around them, and the corners.

What is accepted: numbers up to `BORDER_TOLERANCE` outside 0..1, and boxes that reach over the border while their
centre and size are within it (augmentation tools write them); they are kept as written. A class id may be written
as ``3.0``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from yoloslim.data.annotations import (
    BORDER_TOLERANCE,
    BadBox,
    Kind,
    LabelFormat,
    LabelledBox,
    LabelledPicture,
    LabelReading,
    Problem,
    left_out,
)
from yoloslim.data.stated import Box, bounds, finite_number, plain

BOX_FIELDS = 5
CORNER_FIELDS = 9
SHARE_DECIMALS = 12  # a hundred-millionth of a pixel of the largest pictures, so that pixels come back as they were


def read_yolo(path: Path, names: Sequence[str], size: tuple[int, int]) -> LabelReading:
    """Gives the boxes of a YOLO label file, in pixels, and every line that was left out.

    Args:
        path: the label file.
        names: the class names; a class id must be below their number.
        size: (width, height) of the picture in pixels.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        return _unreadable(path, f"label file cannot be read ({error.strerror})")
    except UnicodeDecodeError:
        return _unreadable(path, "expected a YOLO label file (text), found binary data")
    boxes: list[LabelledBox] = []
    problems: list[Problem] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            boxes.append(_parse_line(line.split(), len(names), size))
        except BadBox as error:
            problems.append(left_out(path, number, error))
    return LabelReading(tuple(boxes), tuple(problems))


def _unreadable(path: Path, message: str) -> LabelReading:
    return LabelReading(None, (Problem(path, 0, message, Kind.UNREADABLE_LABELS),))


def _parse_line(fields: list[str], num_classes: int, size: tuple[int, int]) -> LabelledBox:
    if len(fields) not in (BOX_FIELDS, CORNER_FIELDS):
        raise BadBox(
            f"expected `class cx cy w h` or `class` and four corners ({BOX_FIELDS} or {CORNER_FIELDS} numbers), "
            f"found {len(fields)} fields"
        )
    class_id = _class_id(fields[0], num_classes)
    shares = [finite_number(field) for field in fields[1:]]
    if len(shares) == BOX_FIELDS - 1:
        cx, cy, w, h = shares
        return LabelledBox(_checked(cx, cy, w, h, size), class_id)
    left, top, right, bottom = bounds(shares)
    xyxy = _checked((left + right) / 2, (top + bottom) / 2, right - left, bottom - top, size)
    return LabelledBox(
        xyxy, class_id, corners=tuple(share * side for share, side in zip(shares, size * 4, strict=True))
    )


def _class_id(field: str, num_classes: int) -> int:
    value = finite_number(field)
    if not value.is_integer():
        raise BadBox(f"expected a whole number as class id, found {field}")
    if not 0 <= value < num_classes:
        message = f"class id {value:.0f} is outside 0..{num_classes - 1} (the data file has {num_classes} classes)"
        raise BadBox(message, Kind.UNKNOWN_CLASS)
    return int(value)


def _checked(cx: float, cy: float, w: float, h: float, size: tuple[int, int]) -> Box:
    """Gives the box in pixels, xyxy, of centre, width and height as shares of the picture."""
    for name, value in (("cx", cx), ("cy", cy), ("w", w), ("h", h)):
        if not -BORDER_TOLERANCE <= value <= 1 + BORDER_TOLERANCE:
            raise BadBox(f"{name}={value:g} is outside 0..1 (numbers are shares of the picture's size)", Kind.OUTSIDE)
    if w <= 0 or h <= 0:
        raise BadBox(f"the box has no area (w={w:g}, h={h:g})", Kind.NO_AREA)
    width, height = size
    return (cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height


def yolo_text(picture: LabelledPicture, names: Sequence[str]) -> str:
    """Gives a YOLO label file: upright boxes. What is difficult is not marked, and corners are not written."""
    return "".join(_row(found.class_id, _shares(found.xyxy, picture.size)) for found in picture.objects)


def yolo_obb_text(picture: LabelledPicture, names: Sequence[str]) -> str:
    """Gives a YOLO label file of four corners a box; those of the upright box, clockwise, where it has no others."""
    rows = []
    for found in picture.objects:
        left, top, right, bottom = found.xyxy
        corners = found.corners or (left, top, right, top, right, bottom, left, bottom)
        rows.append(_row(found.class_id, [value / side for value, side in zip(corners, picture.size * 4, strict=True)]))
    return "".join(rows)


def fits_shares(xyxy: Box, size: tuple[int, int]) -> bool:
    """Gives whether `read_yolo` takes the box, however far it reaches over the border."""
    return all(-BORDER_TOLERANCE <= share <= 1 + BORDER_TOLERANCE for share in _shares(xyxy, size))


def _shares(xyxy: Box, size: tuple[int, int]) -> Box:
    """Gives centre, width and height of a box in pixels, as shares of the picture."""
    (left, top, right, bottom), (width, height) = xyxy, size
    return (left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width, (bottom - top) / height


def _row(class_id: int, shares: Iterable[float]) -> str:
    return " ".join([str(class_id), *(plain(share, SHARE_DECIMALS) for share in shares)]) + "\n"


YOLO = LabelFormat(
    name="yolo",
    suffix=".txt",
    folders={"images": ("labels",), "JPEGImages": ("labels",)},  # Darknet replaces both in a picture's path
    read=read_yolo,
)
