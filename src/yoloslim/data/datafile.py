"""Data files: which pictures, which labels, which classes. A Darknet ``.data`` file, or a YAML of the YOLO world."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from yoloslim.cfg.data_options import read_data_options
from yoloslim.data.class_names import read_class_names
from yoloslim.data.formats import FORMATS, SPLIT_FORMATS
from yoloslim.data.locations import Found, Places, expand_variables
from yoloslim.data.split_pictures import names_in_labels
from yoloslim.data.splits import SPLIT_ALIASES, SPLITS, DataFile, Split
from yoloslim.errors import DataError

KEYS = frozenset(
    "train val valid test names nc classes path format labels labels_train labels_val labels_test single_class".split()
)
FOREIGN_KEYS = frozenset(
    # Darknet's own, then those of YAML files that other tools write: known, and of no use here.
    "backup eval results difficult weights output top thresh map tree trees "
    "roboflow download kpt_shape kpt_names flip_idx channels minival author date version description task license "
    "stride batch imgsz args".split()
)
TRUE_WORDS, FALSE_WORDS = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
NULL_WORDS = ("", "~", "null", "Null", "NULL")

__all__ = ["DataFile", "Split", "load_data_file"]

logger = logging.getLogger(__name__)


def load_data_file(path: str | Path, *, label_format: str | None = None) -> DataFile:
    """Gives the data file at ``path``, a Darknet ``.data`` or a ``.yaml``, with its paths found.

    Args:
        path: the file.
        label_format: of its labels, whatever the file says; None: what it says.

    Raises:
        DataError: the file is missing or broken, a variable is not set, no split is given, or names are wrong.
        CfgError: a line of a ``.data`` or ``.names`` file is wrong.
    """
    path = Path(path)
    options = _read_options(path)
    _warn_about_unknown_keys(path, options)
    if label_format is not None:
        options["format"] = label_format
    root, root_notes = _find_root(path, options)
    places = Places(path, root)
    label_format = _format(path, options)
    splits = {name: _find_split(places, name, value, options) for name, value in _stated_splits(path, options)}
    split_notes = [note for split in splits.values() for note in split.notes]
    names, name_notes = read_class_names(places, options, lambda: names_in_labels(path, splits, label_format))
    notes = tuple(dict.fromkeys([*root_notes, *name_notes, *split_notes]))
    return DataFile(path, root, names, splits, label_format, _flag(path, "single_class", options), notes)


def _read_options(path: Path) -> dict[str, Any]:
    """Gives the file's options without empty ones; every scalar is a string, as written."""
    if path.is_dir():
        raise DataError(f"{path}: expected a data file (.data or .yaml), found a folder: name the file in it")
    options = _read_yaml(path) if path.suffix.lower() in (".yaml", ".yml") else read_data_options(path)
    return {key: value for key, value in options.items() if value not in NULL_WORDS}


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        # BaseLoader makes strings only: a class named `no`, `on` or `007` keeps its name, and no object is ever built.
        content = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=yaml.BaseLoader)
    except FileNotFoundError:
        raise DataError(f"{path}: no such data file: correct the path") from None
    except OSError as error:
        raise DataError(f"{path}: data file cannot be read ({error.strerror})") from error
    except UnicodeDecodeError:
        raise DataError(f"{path}: expected a YAML data file (UTF-8 text), found binary data") from None
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise DataError(f"{path}{line}: expected YAML, found an error in it: {error.problem}") from error
    except yaml.YAMLError as error:
        raise DataError(f"{path}: expected YAML, found an error in it: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected `key: value` lines (train, val, names), found none")
    return content


def _warn_about_unknown_keys(path: Path, options: Mapping[str, Any]) -> None:
    for key in sorted(options.keys() - KEYS - FOREIGN_KEYS, key=str):
        near = difflib.get_close_matches(str(key), sorted(KEYS), n=1)
        hint = f": did you mean {near[0]!r}?" if near else ""
        logger.warning("%s: unknown key %r is ignored%s", path, key, hint)


def _texts(path: Path, key: str, value: object) -> list[str]:
    """Gives the one or several paths that a key holds, variables expanded."""
    values = value if isinstance(value, list) else [value]
    texts = [item for item in values if isinstance(item, str) and item not in NULL_WORDS]
    if len(texts) != len(values) or not texts:
        raise DataError(f"{path}: {key}: expected a path or a list of paths, found {value!r}")
    return [expand_variables(text, place=f"{path}: {key}") for text in texts]


def _text(path: Path, key: str, value: object) -> str:
    texts = _texts(path, key, value)
    if len(texts) != 1:
        raise DataError(f"{path}: {key}: expected one path, found {value!r}")
    return texts[0]


def _flag(path: Path, key: str, options: Mapping[str, Any]) -> bool:
    word = str(options.get(key, "false")).lower()
    if word not in TRUE_WORDS + FALSE_WORDS:
        raise DataError(f"{path}: {key}: expected true or false, found {options[key]!r}")
    return word in TRUE_WORDS


def _format(path: Path, options: Mapping[str, Any]) -> str | None:
    label_format = options.get("format")
    known = dict.fromkeys([*FORMATS, *SPLIT_FORMATS])
    if label_format is not None and label_format not in known:
        names = ", ".join(known)
        raise DataError(f"{path}: format: expected one of {names}, found {label_format!r}: correct it, or leave it out")
    return label_format


def _find_root(path: Path, options: Mapping[str, Any]) -> tuple[Path, tuple[str, ...]]:
    if "path" not in options:
        return path.parent, ()
    text = _text(path, "path", options["path"])
    for folder in (path.parent / text, Path(text)):
        if folder.is_dir():
            return folder, ()
    return path.parent, (f"{path}: path: no such folder {text}: paths are taken from the data file's folder",)


def _stated_splits(path: Path, options: Mapping[str, Any]) -> list[tuple[str, object]]:
    """Gives (split, its value) for each split that the file states, in the order of `SPLITS`."""
    keys = [key for key in (*SPLITS, *SPLIT_ALIASES) if key in options]
    if not keys:
        raise DataError(f"{path}: expected train, val or test with pictures, found none of them")
    if "val" in keys and "valid" in keys:
        raise DataError(f"{path}: val and valid are the same split, found both: keep one of them")
    return [(SPLIT_ALIASES.get(key, key), options[key]) for key in keys]


def _find_split(places: Places, name: str, value: object, options: Mapping[str, Any]) -> Split:
    labels_key = next((key for key in (f"labels_{name}", "labels") if key in options), None)
    entries = [places.find(name, text) for text in _texts(places.file, name, value)]
    labels = [places.find(key, _text(places.file, key, options[key])) for key in (labels_key,) if key]
    faults = [
        _fault(places.file, key, found)
        for key, founds in ((name, entries), (labels_key, labels))
        for found in founds
        if not found.path
    ]
    return Split(
        tuple(found.path for found in entries if found.path),
        next((found.path for found in labels), None),
        tuple(found.note for found in (*entries, *labels) if found.note),
        fault=next(iter(faults), ""),
    )


def _fault(file: Path, key: str | None, found: Found) -> str:
    stated, *others = found.looked
    also = f" (nor at {', '.join(map(str, others))})" if others else ""
    return (
        f"{file}: {key}: no such file or folder: {stated}{also}: correct the path, or set `path` to the data's folder"
    )
