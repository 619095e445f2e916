"""Where the label file of a picture is, and in which format the labels are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from yoloslim.data.annotations import LabelFormat
from yoloslim.data.formats import FOUND_FORMATS
from yoloslim.data.listing import Listing
from yoloslim.errors import DataError


@dataclass(frozen=True, slots=True)
class Located:
    """The labels of some pictures in one format.

    Attributes:
        format: the format looked for.
        paths: one a picture; None where there is no label file.
        looked: the folders that were looked into.
    """

    format: LabelFormat
    paths: tuple[Path | None, ...]
    looked: tuple[Path, ...]

    @property
    def num_found(self) -> int:
        """The number of pictures with a label file."""
        return sum(path is not None for path in self.paths)


def locate_labels(listing: Listing, labels: Path | None, label_format: LabelFormat) -> Located:
    """Gives the label file of each picture: same stem, the format's suffix, in the label folder of its folder.

    The label folder is ``labels`` if given (its subfolder with the same place or name as the picture's folder, if
    there is one); else the picture's folder with its last ``images`` part replaced by ``labels`` (for VOC:
    ``JPEGImages`` by ``Annotations``), if that exists; else the picture's own folder.

    Args:
        listing: the pictures.
        labels: the label folder that the data file states for them, if it does.
        label_format: the format to look for.

    Raises:
        DataError: a label folder cannot be read.
    """
    candidates = _candidates(listing, labels, label_format)
    paths = tuple(folder / name if name in names else None for folder, names, name in candidates)
    return Located(label_format, paths, tuple(dict.fromkeys(folder for folder, _, _ in candidates)))


def find_format(listings: Sequence[Listing], labels: Path | None) -> LabelFormat:
    """Gives the format of which the most pictures have a label file; YOLO when none has one."""

    def num_found(label_format: LabelFormat) -> int:
        candidates = (found for listing in listings for found in _candidates(listing, labels, label_format))
        return sum(name in names for _, names, name in candidates)

    return max(FOUND_FORMATS, key=num_found)


def _candidates(
    listing: Listing, labels: Path | None, label_format: LabelFormat
) -> list[tuple[Path, frozenset[str], str]]:
    """Gives, for each picture, its label folder, the files in that, and the name that its label file has."""
    split = [os.path.split(picture) for picture in listing.pictures]
    folders = {
        parent: _label_folder(Path(parent), listing.folder, labels, label_format)
        for parent in dict.fromkeys(parent for parent, _ in split)
    }
    names = {folder: _file_names(folder) for folder in dict.fromkeys(folders.values())}
    inside = {parent: (folder, names[folder]) for parent, folder in folders.items()}
    return [(*inside[parent], os.path.splitext(name)[0] + label_format.suffix) for parent, name in split]  # noqa: PTH122


def _file_names(folder: Path) -> frozenset[str]:
    """Gives the names of the files in a folder: asking for them one by one takes seconds in a large one."""
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries if entry.is_file())
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
    except OSError as error:
        raise DataError(f"{folder}: the folder of labels cannot be read ({error.strerror})") from error


def _label_folder(parent: Path, folder: Path | None, labels: Path | None, label_format: LabelFormat) -> Path:
    if labels is not None:
        top = folder or parent
        inside = parent.relative_to(top)
        places = (labels / top.name / inside, labels / inside, labels / parent.name)
        return next((place for place in places if place.is_dir()), labels)
    for index in reversed(range(len(parent.parts))):
        for name in label_format.folders.get(parent.parts[index], ()):
            place = Path(*parent.parts[:index], name, *parent.parts[index + 1 :])
            if place.is_dir():
                return place
    return parent
