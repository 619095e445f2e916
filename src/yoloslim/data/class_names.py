"""The class names of a data file: a list, a mapping from ids, a ``.names`` file, or only their number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from yoloslim.cfg.names import read_names
from yoloslim.data.locations import Places, expand_variables
from yoloslim.errors import DataError


def read_class_names(
    places: Places, options: Mapping[str, Any], names_in_labels: Callable[[], tuple[str, ...]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Gives the class names, by class id, and the lines to tell the user about where they come from.

    Args:
        places: where the data file's paths are looked up.
        options: the data file's options; ``names``, ``nc`` (``classes``) and ``format`` are read.
        names_in_labels: gives the class names that the labels themselves state, or their format; empty if neither does.

    Raises:
        DataError: there are none, their file is missing, or their number is not ``nc``.
        CfgError: a line of their file is wrong.
    """
    count = _class_count(places, options)
    if "names" not in options:
        return _unstated_names(places, options, count, names_in_labels())
    names, source, notes = _stated_names(places, options["names"])
    if not names:
        raise DataError(f"{places.file}: names: expected at least one class name, found none")
    if count is not None and count != len(names):
        key = "nc" if "nc" in options else "classes"
        message = f"{key} says {count} classes, but {source} has {len(names)} names: correct one of them"
        raise DataError(f"{places.file}: {message}")
    return names, notes


def _class_count(places: Places, options: Mapping[str, Any]) -> int | None:
    counts = {key: options[key] for key in ("nc", "classes") if key in options}
    for key, value in counts.items():
        if not (isinstance(value, str) and value.isdecimal() and int(value) > 0):
            raise DataError(f"{places.file}: {key}: expected a number of classes, found {value!r}")
    if len({int(value) for value in counts.values()}) > 1:
        raise DataError(f"{places.file}: nc says {counts['nc']}, classes says {counts['classes']}: keep one of them")
    return next((int(value) for value in counts.values()), None)


def _unstated_names(
    places: Places, options: Mapping[str, Any], count: int | None, in_labels: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if in_labels and count in (None, len(in_labels)):
        return in_labels, (
            f"{places.file}: no names given: {_shortened(in_labels)} are taken, as the labels have them",
        )
    if count is None:
        raise DataError(f"{places.file}: expected names (a list, or a .names file), found neither names nor nc")
    if options.get("format") == "voc":
        raise DataError(f"{places.file}: expected names, found none: VOC files state classes by name")
    note = f"{places.file}: no names given: the {count} classes are called 0..{count - 1}"
    return tuple(str(class_id) for class_id in range(count)), (note,)


def _shortened(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _stated_names(places: Places, value: object) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    """Gives the names, where they stand (for messages), and notes."""
    match value:
        case str():
            return _names_of_file(places, value)
        case dict():
            names = _names_by_id(places, value)
        case list():
            names = value
        case _:
            names = [value]
    if not all(isinstance(name, str) for name in names):
        raise DataError(f"{places.file}: names: expected names, found {value!r}")
    return tuple(names), "names", ()


def _names_by_id(places: Places, names: Mapping[str, Any]) -> list[Any]:
    expected = [str(class_id) for class_id in range(len(names))]
    missing = [key for key in expected if key not in names]
    if missing:
        found = ", ".join(map(str, names))
        message = f"expected class ids 0..{len(names) - 1}, found {found}: {missing[0]} is missing"
        raise DataError(f"{places.file}: names: {message}")
    return [names[key] for key in expected]


def _names_of_file(places: Places, value: str) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    text = expand_variables(value, place=f"{places.file}: names")
    found = places.find("names", text)
    source = found.path or places.root / text
    notes = (found.note,) if found.note else ()
    return read_names(source, referred_by=f"{places.file}: names"), str(source), notes
