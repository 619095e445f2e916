"""The pictures of label files that cover a whole split: which file, and where the pictures are that it names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from yoloslim.data.annotations import Kind, Problem
from yoloslim.data.formats import FORMATS, SPLIT_FORMATS
from yoloslim.data.listing import Listing, list_pictures
from yoloslim.data.split_labels import SplitFormat, SplitLabels, StatedPicture
from yoloslim.data.splits import DataFile, Split
from yoloslim.errors import DataError

SAMPLE_NAMES = 20  # names of pictures that are looked up to find out in which folder they are
LABEL_SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class Matched:
    """A label file that covers a split, or a part of it, with its pictures.

    Attributes:
        labels: the file, read.
        pictures: (path, name in the label file) of each.
        problems: pictures that have no labels, and labels that have no picture.
        notes: lines to tell the user once.
    """

    labels: SplitLabels
    pictures: tuple[tuple[Path, str], ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def has_split_labels(split: Split, stated_format: str | None) -> bool:
    """Gives whether the labels of a split are in one file (or one an entry), not in one a picture."""
    if stated_format is not None and stated_format not in FORMATS:
        return True
    return any(path.suffix.lower() == LABEL_SUFFIX and path.is_file() for path in _paths(split))


def names_in_labels(data_file: Path, splits: Mapping[str, Split], stated_format: str | None) -> tuple[str, ...]:
    """Gives the class names that a format always has, or that the label file of the first usable split states.

    Raises:
        DataError: a label file is not found, or cannot be read.
    """
    if stated_format in FORMATS and FORMATS[stated_format].class_names:
        return FORMATS[stated_format].class_names
    split = next((split for split in splits.values() if not split.fault), None)
    if split is None or not has_split_labels(split, stated_format):
        return ()
    split_format = split_format_of(data_file, split, stated_format)
    return split_format.names_of(_label_file(data_file, split, split.entries[0]))


def split_format_of(data_file: Path, split: Split, stated_format: str | None) -> SplitFormat:
    """Gives the format of a label file that covers a split: the stated one, else by how its json begins.

    Raises:
        DataError: the stated format has a file for each picture.
    """
    if stated_format is None:
        return SPLIT_FORMATS["bdd100k" if _is_list(_label_file(data_file, split, split.entries[0])) else "coco"]
    if stated_format not in SPLIT_FORMATS:
        found = next(path for path in _paths(split) if path.suffix.lower() == LABEL_SUFFIX)
        known = " or ".join(SPLIT_FORMATS)
        message = f"format says {stated_format}, but {found} is a label file for a whole split: expected {known}"
        raise DataError(f"{data_file}: {message}, or leave it out")
    return SPLIT_FORMATS[stated_format]


def match_split(data_file: DataFile, split: Split) -> tuple[Matched, ...]:
    """Gives the label files of a split, with the pictures that they cover.

    An entry of the split is a label file itself, or pictures (a folder, a list); then the label file is the one that
    ``labels`` names, else the only json in the folder that ``labels`` names, or in the folder of the pictures.

    Raises:
        DataError: a label file or the pictures that it names are not found, or it cannot be read.
    """
    read = split_format_of(data_file.path, split, data_file.format).read
    entries: dict[Path, list[Path]] = {}
    for entry in split.entries:
        entries.setdefault(_label_file(data_file.path, split, entry), []).append(entry)
    return tuple(_match_file(read(path, data_file.names), its, data_file.root) for path, its in entries.items())


def _paths(split: Split) -> list[Path]:
    return [*split.entries, *([split.labels] if split.labels else [])]


def _label_file(data_file: Path, split: Split, entry: Path) -> Path:
    if entry.suffix.lower() == LABEL_SUFFIX and entry.is_file():
        return entry
    if split.labels is not None and split.labels.is_file():
        return split.labels
    folder = split.labels or entry
    found = sorted(folder.glob(f"*{LABEL_SUFFIX}")) if folder.is_dir() else []
    if len(found) != 1:
        raise DataError(
            f"{data_file}: expected one label file for the pictures of {entry}, found {len(found)} json files in "
            f"{folder}: name the file (labels_train, labels_val, labels_test)"
        )
    return found[0]


def _is_list(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    except OSError as error:
        raise DataError(f"{path}: the label file cannot be read ({error.strerror})") from error


def _match_file(labels: SplitLabels, entries: Sequence[Path], root: Path) -> Matched:
    if labels.path in entries:
        return find_pictures(labels, root)
    return match_pictures(labels, [list_pictures(entry, root) for entry in entries])


def find_pictures(labels: SplitLabels, root: Path) -> Matched:
    """Gives the pictures that a label file names, where a data file says nothing but the label file.

    They are looked for below the label file's folder, the two above it, and ``root``: in ``images/WORD``, ``WORD``
    (the last word of the label file's name: ``instances_train2017.json``), ``images/100k/WORD``, directly, in
    ``images``, and in ``JPEGImages``.

    Raises:
        DataError: the first ones that it names are in none of these.
    """
    word = re.split(r"[_.]", labels.path.stem)[-1]
    inside = (f"images/{word}", word, f"images/100k/{word}", "", "images", "JPEGImages")
    folders = dict.fromkeys(place / name for place in (*labels.path.absolute().parents[:3], root) for name in inside)
    names = list(islice(labels.pictures, SAMPLE_NAMES))
    folder = next((folder for folder in folders if any((folder / name).is_file() for name in names)), None)
    if folder is None:
        raise DataError(
            f"{labels.path}: none of the first {len(names)} pictures that it names was found; the first is "
            f"{next(iter(names), None)!r}: name the pictures' folder (train, val, test), and this file as its labels "
            "(labels_train, labels_val, labels_test)"
        )
    return Matched(labels, tuple((folder / name, name) for name in labels.pictures), notes=labels.notes)


def match_pictures(labels: SplitLabels, listings: Sequence[Listing]) -> Matched:
    """Gives those of the listed pictures that a label file names: the end of a picture's path is a name in it.

    Where several ends are, the name is the one relative to the folder that most pictures have names relative to.
    """
    pictures = [picture for listing in listings for picture in listing.pictures]
    names = _names_of(pictures, labels.pictures)
    taken: dict[str, Path] = {}
    matched, problems = [], []
    for picture, name in zip(pictures, names, strict=True):
        if name is None:
            message = f"{labels.path} does not name this picture; it is left out"
            problems.append(Problem(picture, 0, message, Kind.UNLISTED))
        elif taken.setdefault(name, picture) != picture:
            message = f"{labels.path} has one {name}, taken to be {taken[name]}; this picture is left out"
            problems.append(Problem(picture, 0, message, Kind.UNLISTED))
        else:
            matched.append((picture, name))
    notes = tuple(note for listing in listings for note in listing.notes)
    return Matched(labels, tuple(matched), (*problems, *_missing(labels, listings, taken)), (*labels.notes, *notes))


def _missing(labels: SplitLabels, listings: Sequence[Listing], taken: Mapping[str, Path]) -> list[Problem]:
    """Gives the problem that folders lack pictures which the label file names; a list may choose some of them."""
    folders = [str(listing.folder) for listing in listings if listing.folder is not None]
    missing = [name for name in labels.pictures if name not in taken]
    if not missing or len(folders) < len(listings):
        return []
    where = f"are not in {' or '.join(folders)} (first: {missing[0]})"
    message = f"{len(missing)} of the pictures that it names {where}; they are left out"
    return [Problem(labels.path, 0, message)]


def _names_of(pictures: Sequence[Path], names: Mapping[str, StatedPicture]) -> list[str | None]:
    depth = max((name.count("/") + 1 for name in names), default=1)
    ends = [_ends(picture, names, depth) for picture in pictures]
    votes = Counter(folder for its_ends in ends for folder in its_ends)
    return [max(its_ends.items(), key=lambda end: votes[end[0]])[1] if its_ends else None for its_ends in ends]


def _ends(picture: Path, names: Mapping[str, StatedPicture], depth: int) -> dict[tuple[str, ...], str]:
    """Gives the names that the path of a picture ends in, the longest first, by the folder they are relative to."""
    parts = picture.parts
    ends = {parts[:-count]: "/".join(parts[-count:]) for count in range(min(depth, len(parts)), 0, -1)}
    return {folder: end for folder, end in ends.items() if end in names}
