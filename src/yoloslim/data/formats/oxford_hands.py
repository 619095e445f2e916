"""Label files of the Oxford hand data set: a ``.mat`` a picture, with the four corners of each hand.

``boxes`` is a cell array of structs whose fields ``a b c d`` are corners as ``(y, x)`` in pixels (Mittal et al., "Hand
detection using multiple proposals", 2011). Where ``d`` is missing, it completes the parallelogram.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from yoloslim.data.annotations import BadBox, Kind, LabelFormat, LabelledBox, LabelReading, Problem, left_out
from yoloslim.data.matlab import MatError, read_mat
from yoloslim.data.stated import bounds, class_id_of, finite_number

CLASS_NAMES = ("hand",)
CORNERS = ("a", "b", "c", "d")


def read_oxford_hands(path: Path, names: Sequence[str], size: tuple[int, int]) -> LabelReading:
    """Gives the hands of a ``.mat`` label file, in pixels, and every one that was left out.

    A hand may reach over the border of the picture; its centre may not.

    Args:
        path: the label file.
        names: the class names; a single one is taken for the hand, whatever it is called.
        size: (width, height) of the picture in pixels.
    """
    try:
        boxes = read_mat(path.read_bytes()).get("boxes")
    except OSError as error:
        return _unreadable(path, f"label file cannot be read ({error.strerror})")
    except MatError as error:
        return _unreadable(path, str(error))
    if boxes is None:
        return _unreadable(path, "expected a variable `boxes` in the .mat file, found none")
    hands: list[LabelledBox] = []
    problems = []
    for number, fields in enumerate(_structs(boxes), start=1):
        try:
            hands.append(_hand(fields, names, size))
        except BadBox as error:
            problems.append(left_out(path, 0, BadBox(f"box number {number}: {error}", error.kind)))
    return LabelReading(tuple(hands), tuple(problems))


def _unreadable(path: Path, message: str) -> LabelReading:
    return LabelReading(None, (Problem(path, 0, message, Kind.UNREADABLE_LABELS),))


def _structs(value: Any) -> Iterator[Any]:
    """Gives what stands in nested cell arrays."""
    if isinstance(value, list):
        for item in value:
            yield from _structs(item)
    elif not isinstance(value, np.ndarray) or value.size:  # MATLAB writes an empty cell array as an empty array
        yield value


def _hand(fields: Any, names: Sequence[str], size: tuple[int, int]) -> LabelledBox:
    class_id = 0 if len(names) == 1 else class_id_of(CLASS_NAMES[0], names)
    a, b, c, d = _corners(fields)
    corners = (*a, *b, *c, *d)
    left, top, right, bottom = bounds(corners)
    if not (0 <= left + right <= 2 * size[0] and 0 <= top + bottom <= 2 * size[1]):
        centre = f"x={(left + right) / 2:g} y={(top + bottom) / 2:g}"
        raise BadBox(f"its centre ({centre}) is outside the picture ({size[0]}x{size[1]})", Kind.OUTSIDE)
    if right <= left or bottom <= top:
        raise BadBox(f"the box has no area (x {left:g} to {right:g}, y {top:g} to {bottom:g})", Kind.NO_AREA)
    return LabelledBox((left, top, right, bottom), class_id, corners=corners)


def _corners(fields: Any) -> list[tuple[float, float]]:
    """Gives the four corners as (x, y)."""
    if not isinstance(fields, dict):
        raise BadBox(f"expected a struct with corners {' '.join(CORNERS)}, found {type(fields).__name__}")
    corners = [_point(name, fields.get(name)) for name in CORNERS[:3]]
    last = fields.get("d")
    if isinstance(last, np.ndarray) and last.size:
        return [*corners, _point("d", last)]
    (ax, ay), (bx, by), (cx, cy) = corners
    return [*corners, (ax + cx - bx, ay + cy - by)]


def _point(name: str, stated: Any) -> tuple[float, float]:
    if not isinstance(stated, np.ndarray) or stated.size != 2:
        raise BadBox(f"corner {name}: expected (y, x), found {stated!r}")
    y, x = (finite_number(float(number), f"corner {name}") for number in stated.ravel())
    return x, y


OXFORD_HANDS = LabelFormat(
    name="oxfordhand",
    suffix=".mat",
    folders={"images": ("annotations",)},
    read=read_oxford_hands,
    class_names=CLASS_NAMES,
)
