"""What label files state, as values, and values as they state them: numbers, class names, boxes, file names."""

from __future__ import annotations

import difflib
import math
import posixpath
from collections.abc import Mapping, Sequence

from yoloslim.data.annotations import BORDER_TOLERANCE, BadBox, Kind

Box = tuple[float, float, float, float]

PIXEL_DECIMALS = 6
"""Decimals of a number in pixels: a millionth of a pixel."""


def finite_number(stated: object, place: str = "") -> float:
    """Gives a stated number, which may be text.

    Args:
        stated: as the label file has it.
        place: what it is the number of, for the message.

    Raises:
        BadBox: it is no number, or not a finite one.
    """
    where = f"{place}: " if place else ""
    if isinstance(stated, bool) or not isinstance(stated, int | float | str):
        raise BadBox(f"{where}expected a number, found {stated!r}")
    try:
        value = float(stated)
    except (ValueError, OverflowError):
        raise BadBox(f"{where}expected a number, found {stated!r}") from None
    if not math.isfinite(value):
        raise BadBox(f"{where}expected a finite number, found {stated!r}")
    return value


def class_id_of(name: str, names: Sequence[str]) -> int:
    """Gives the class id of a class name.

    Raises:
        BadBox: it is not among ``names``.
    """
    if name in names:
        return names.index(name)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f": did you mean {near[0]!r}?" if near else f" ({', '.join(names[:8])}{', ...' if len(names) > 8 else ''})"
    raise BadBox(f"class {name!r} is not among the data file's names{hint}", Kind.UNKNOWN_CLASS)


def pixel_box(corners: Mapping[str, float], size: tuple[int, int]) -> Box:
    """Gives a box that is stated in pixels, as xyxy.

    A number may lie beyond the picture by `BORDER_TOLERANCE` and no more: in pixels, a box that reaches over the
    border was most often drawn on a picture of another size.

    Args:
        corners: left, top, right and bottom edge in pixels, each by its name in the message.
        size: (width, height) of the picture in pixels.

    Raises:
        BadBox: it lies outside the picture, or has no area.
    """
    left, top, right, bottom = corners.values()
    for (name, value), side in zip(corners.items(), size * 2, strict=True):
        if not -BORDER_TOLERANCE * side <= value <= (1 + BORDER_TOLERANCE) * side:
            raise BadBox(f"{name}={value:g} is outside the picture ({size[0]}x{size[1]})", Kind.OUTSIDE)
    if right <= left or bottom <= top:
        raise BadBox(f"the box has no area ({' '.join(f'{name}={v:g}' for name, v in corners.items())})", Kind.NO_AREA)
    return left, top, right, bottom


def fits_picture(xyxy: Box, size: tuple[int, int]) -> bool:
    """Gives whether `pixel_box` takes the box as it is."""
    return all(
        -BORDER_TOLERANCE * side <= value <= (1 + BORDER_TOLERANCE) * side
        for value, side in zip(xyxy, size * 2, strict=True)
    )


def plain(value: float, decimals: int) -> str:
    """Gives a number as the shortest text of at most so many decimals, never in powers of ten."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}".rstrip("0").rstrip(".")


def bounds(points: Sequence[float]) -> Box:
    """Gives the upright box around the points ``x1 y1 x2 y2 ...``, as xyxy."""
    xs, ys = points[0::2], points[1::2]
    return min(xs), min(ys), max(xs), max(ys)


def climbs_out(name: str) -> bool:
    """Gives whether a file name, stated inside a label file, leads out of the folder it is relative to by ``..``."""
    return posixpath.normpath(name.replace("\\", "/")).split("/")[0] == ".."
