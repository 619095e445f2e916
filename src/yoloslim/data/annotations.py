"""What a label file says about one picture, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
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
    """One object of a label file, with all that formats can say about it; an `Annotation` holds what training needs.

    Attributes:
        xyxy: the upright box, in pixels of the picture.
        class_id: from 0.
        difficult: whether it is to be ignored in AP and in training.
        corners: ``x1 y1 .. x4 y4`` in pixels, where the label states four corner points; ``xyxy`` bounds them.
    """

    xyxy: tuple[float, float, float, float]
    class_id: int
    difficult: bool = False
    corners: tuple[float, ...] | None = None


def annotation_of(objects: Sequence[LabelledBox]) -> Annotation:
    """Gives an annotation of ``objects``, in their order."""
    return Annotation(
        np.array([found.xyxy for found in objects], np.float32).reshape(-1, 4),
        np.array([found.class_id for found in objects], np.int64),
        np.array([found.difficult for found in objects], np.bool_),
    )


class Kind(StrEnum):
    """What sort of problem a problem is, to count by; each reads as what it is about."""

    UNREADABLE_PICTURE = "unreadable picture"
    UNREADABLE_LABELS = "unreadable label file"
    NO_LABELS = "no label files"
    SIZE_MISMATCH = "other picture size"
    BAD_FILE_NAME = "refused file name"
    UNLISTED = "picture that the labels do not name"
    MALFORMED = "malformed box"
    UNKNOWN_CLASS = "unknown class"
    OUTSIDE = "box outside the picture"
    NO_AREA = "box without area"
    IGNORED = "box of no class"
    DIFFICULT = "difficult box"
    CORNERS = "oriented box, now upright"
    CUT = "box cut at the border"
    UNLISTABLE = "path that a list cannot hold"
    NO_LABEL_FILE = "picture without labels"
    NO_BOXES = "labels without boxes"
    REPEATED = "repeated box"
    OVER_BORDER = "box over the border"
    TURNED = "picture turned by EXIF"
    GREY = "grey picture"
    NO_SPLIT = "split that cannot be used"
    LEAKED = "same picture in two splits"
    NEARLY_LEAKED = "nearly the same picture in two splits"
    COPY = "same picture twice in a split"
    NEARLY_COPY = "nearly the same picture twice in a split"


BOX_KINDS = frozenset((Kind.MALFORMED, Kind.UNKNOWN_CLASS, Kind.OUTSIDE, Kind.NO_AREA, Kind.IGNORED))
"""Kinds of problems that stand for one box each, which was left out."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a file of a data set, which was left out and must be told; prints as one line.

    Attributes:
        path: the file.
        line: line number, from 1; 0 when the problem belongs to no line.
        message: what was expected, what was found, what happened.
        kind: what sort of problem it is; None where nothing is counted by it.
    """

    path: Path
    line: int
    message: str
    kind: Kind | None = None

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}" if self.line else f"{self.path}: {self.message}"


@dataclass(frozen=True, slots=True)
class LabelReading:
    """What could be read from the labels of one picture.

    Attributes:
        objects: the good boxes; None when the labels as a whole cannot be read, so that nothing is known
            about the picture (which is then neither background nor usable).
        problems: what was left out, and why.
    """

    objects: tuple[LabelledBox, ...] | None
    problems: tuple[Problem, ...]

    @property
    def annotation(self) -> Annotation | None:
        """The good boxes as arrays; None when nothing is known about the picture."""
        return None if self.objects is None else annotation_of(self.objects)


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """What a label file that is written says about one picture.

    Attributes:
        name: of the picture's file, with forward slashes, relative to the folder of the pictures.
        size: (width, height) in pixels.
        objects: in their order.
    """

    name: str
    size: tuple[int, int]
    objects: tuple[LabelledBox, ...]


class BadBox(ValueError):
    """One object of a label file that cannot be used. Never leaves a label reader.

    Args:
        message: what was expected and what was found.
        kind: of the problem, one of `BOX_KINDS`.
    """

    def __init__(self, message: str, kind: Kind = Kind.MALFORMED) -> None:
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
        class_names: of its data set, in the order of their ids, where the format belongs to one.
    """

    name: str
    suffix: str
    folders: dict[str, tuple[str, ...]]
    read: LabelReader
    class_names: tuple[str, ...] = ()
