"""Anchor boxes: (width, height) pairs in pixels of the network's input."""

from __future__ import annotations

import math
from collections.abc import Sequence

from yoloslim.errors import RecipeError

Anchors = tuple[tuple[float, float], ...]
"""(width, height) of every anchor of a network, from the smallest to the largest."""


def parse_anchors(text: str) -> Anchors:
    """Gives the anchors written as ``w,h w,h ...``.

    Raises:
        RecipeError: a pair is not two positive numbers.
    """
    return tuple(_pair(word) for word in text.split())


def checked_anchors(anchors: Sequence[tuple[float, float]], count: int, network: str) -> Anchors:
    """Gives the anchors of a network that needs ``count`` of them.

    Raises:
        RecipeError: there are more or fewer, or one is not positive.
    """
    if len(anchors) != count:
        raise RecipeError(f"{network} needs {count} anchors, found {len(anchors)}; give {count} width,height pairs")
    for width, height in anchors:
        if not (0 < width < math.inf and 0 < height < math.inf):
            raise RecipeError(f"anchor {width:g},{height:g} is no box; expected a width and height above 0")
    return tuple((float(width), float(height)) for width, height in anchors)


def _pair(word: str) -> tuple[float, float]:
    try:
        width, height = (float(side) for side in word.split(","))
    except ValueError as error:
        raise RecipeError(f"expected anchors as 'w,h w,h ...', found '{word}'") from error
    if not (0 < width < math.inf and 0 < height < math.inf):
        raise RecipeError(f"anchor {word} is no box; expected a width and height above 0")
    return width, height
