"""Label files that cover a whole split: what one states about each of its pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from yoloslim.data.annotations import BadBox, Kind, LabelledBox, LabelReading, Problem, left_out
from yoloslim.data.stated import climbs_out
from yoloslim.errors import DataError

Stated = dict[str, Any]
"""An object of a json label file, as it stands there."""


@dataclass(frozen=True, slots=True)
class StatedPicture:
    """What a label file states about one of its pictures; nothing is checked yet.

    Attributes:
        objects: its objects, each with what to call it in messages.
        size: (width, height) in pixels; None where the file does not say.
    """

    objects: Sequence[tuple[str, Stated]]
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class SplitLabels:
    """A label file that covers a whole split, read.

    Attributes:
        path: the file.
        pictures: by file name as the file states it: relative, never out of its folder; in the file's order.
        parse: gives one object as a box, given the picture's (width, height); raises `BadBox`.
        problems: what is wrong with the file beside single boxes.
        notes: lines to tell the user once.
    """

    path: Path
    pictures: Mapping[str, StatedPicture]
    parse: Callable[[Stated, tuple[int, int]], LabelledBox]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    def read(self, name: str, size: tuple[int, int]) -> LabelReading:
        """Gives the boxes of one picture and every object that was left out.

        Args:
            name: one of ``pictures``.
            size: (width, height) of the picture in pixels. Where the file says another, that is told, and the boxes
                are kept.
        """
        stated = self.pictures[name]
        boxes: list[LabelledBox] = []
        problems = []
        if stated.size is not None and stated.size != size:
            said = f"says that {name} is {stated.size[0]}x{stated.size[1]}, but the picture is {size[0]}x{size[1]}"
            message = f"{said}; boxes are kept as written"
            problems.append(Problem(self.path, 0, message, Kind.SIZE_MISMATCH))
        for place, found in stated.objects:
            try:
                boxes.append(self.parse(found, size))
            except BadBox as error:
                problems.append(left_out(self.path, 0, BadBox(f"{name}, {place}: {error}", error.kind)))
        return LabelReading(tuple(boxes), tuple(problems))


@dataclass(frozen=True, slots=True)
class SplitFormat:
    """A label format with one file a split.

    Attributes:
        name: as in the data file's ``format``.
        read: reads such a file, given the class names in order; raises `DataError`.
        names_of: gives the class names that such a file states, in the order of their ids; raises `DataError`.
    """

    name: str
    read: Callable[[Path, Sequence[str]], SplitLabels]
    names_of: Callable[[Path], tuple[str, ...]]


def read_json(path: Path, kind: str, *, hook: Callable[[Stated], Any] | None = None) -> Any:
    """Gives the content of a json file.

    Args:
        path: the file.
        kind: what it should be, for messages.
        hook: called with each object of it, innermost first; what it gives takes the object's place.

    Raises:
        DataError: it cannot be read, or is no json.
    """
    try:
        return json.loads(path.read_bytes(), object_hook=hook)
    except OSError as error:
        raise DataError(f"{path}: the label file cannot be read ({error.strerror})") from error
    except json.JSONDecodeError as error:
        message = f"expected a {kind} json file, found broken json ({error.msg}, column {error.colno})"
        raise DataError(f"{path}:{error.lineno}: {message}: fetch or export it again") from None
    except (ValueError, RecursionError) as error:  # no text; numbers of thousands of digits; nested without end
        raise DataError(f"{path}: expected a {kind} json file, found content that is refused ({error})") from None


def stays_inside(name: object) -> bool:
    """Gives whether a file name that a label file states is relative and does not climb out of its folder."""
    if not isinstance(name, str) or not name.strip():
        return False
    return not (PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive or climbs_out(name))


def refused_name(path: Path, place: str, name: object, num_objects: int) -> Problem:
    """Gives the problem of a picture whose file name is refused."""
    message = f"{place}: expected the name of a picture inside the pictures' folder, found {name!r}"
    return Problem(path, 0, f"{message}; the picture and its {num_objects} boxes are left out", Kind.BAD_FILE_NAME)
