"""What a label file says about one picture, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from yoloslim.boxes.annotation import Annotation

BORDER_TOLERANCE = 0.01
"""How far a number may lie beyond the picture, as a share of its side.

Rounding to six decimals puts numbers 1e-7 outside; tools that count pixels from 1, or include the last one, put them
one pixel outside, which is 1/100 of the side of a 100-pixel picture. Anything beyond is a mistake, not rounding.
"""


@dataclass(frozen=True, slots=True)
class LabelledBox:
    """One object of a label file.

    Attributes:
        xyxy: corners in pixels of the picture.
        class_id: from 0.
        difficult: whether it is to be ignored in AP and in training.
    """

    xyxy: tuple[float, float, float, float]
    class_id: int
    difficult: bool = False


def annotation_of(objects: Sequence[LabelledBox]) -> Annotation:
    """Gives an annotation of ``objects``, in their order."""
    return Annotation(
        np.array([found.xyxy for found in objects], np.float32).reshape(-1, 4),
        np.array([found.class_id for found in objects], np.int64),
        np.array([found.difficult for found in objects], np.bool_),
    )


UNREADABLE_PICTURE, UNREADABLE_LABELS = "unreadable picture", "unreadable label file"
NO_LABELS, SIZE_MISMATCH = "no label files", "other picture size"
MALFORMED, UNKNOWN_CLASS, OUTSIDE, NO_AREA = (
    "malformed box",
    "unknown class",
    "box outside the picture",
    "box without area",
)
BOX_KINDS = frozenset((MALFORMED, UNKNOWN_CLASS, OUTSIDE, NO_AREA))
"""Kinds of problems that stand for one box each, which was left out."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a file of a data set, which was left out and must be told; prints as one line.

    Attributes:
        path: the file.
        line: line number, from 1; 0 when the problem belongs to no line.
        message: what was expected, what was found, what happened.
        kind: what sort of problem it is, to count by; one of the constants above. Empty where nothing is counted.
    """

    path: Path
    line: int
    message: str
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}" if self.line else f"{self.path}: {self.message}"


@dataclass(frozen=True, slots=True)
class LabelReading:
    """What could be read from one label file.

    Attributes:
        annotation: the good boxes; None when the file as a whole cannot be read, so that nothing is known
            about its picture (which is then neither background nor usable).
        problems: what was left out, and why.
    """

    annotation: Annotation | None
    problems: tuple[Problem, ...]


class BadBox(ValueError):
    """One object of a label file that cannot be used. Never leaves a label reader.

    Args:
        message: what was expected and what was found.
        kind: of the problem, one of `BOX_KINDS`.
    """

    def __init__(self, message: str, kind: str = MALFORMED) -> None:
        super().__init__(message)
        self.kind = kind


def left_out(path: Path, line: int, error: BadBox) -> Problem:
    """Gives the problem of one box of a label file that was left out."""
    return Problem(path, line, f"{error}; the box is left out", error.kind)


LabelReader = Callable[[Path, Sequence[str], tuple[int, int]], LabelReading]
"""Reads one label file, given the class names in order and the picture's (width, height) in pixels."""


@dataclass(frozen=True, slots=True)
class LabelFormat:
    """A label format with one file a picture.

    Attributes:
        name: as in the data file's ``format``.
        suffix: of its files, with the dot.
        folders: for a folder that holds pictures, the names of the folder beside it that may hold their labels.
        read: its reader.
    """

    name: str
    suffix: str
    folders: dict[str, tuple[str, ...]]
    read: LabelReader
