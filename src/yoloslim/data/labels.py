"""Where the label file of a picture is, and in which format the labels are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from yoloslim.data.annotations import LabelFormat
from yoloslim.data.formats import FOUND_FORMATS
from yoloslim.data.listing import Listing


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
    """
    parents = dict.fromkeys(picture.parent for picture in listing.pictures)
    folders = {parent: _label_folder(parent, listing.folder, labels, label_format) for parent in parents}
    candidates = [folders[picture.parent] / (picture.stem + label_format.suffix) for picture in listing.pictures]
    paths = tuple(path if path.is_file() else None for path in candidates)
    return Located(label_format, paths, tuple(dict.fromkeys(folders.values())))


def find_format(listings: Sequence[Listing], labels: Path | None) -> LabelFormat:
    """Gives the format of which the most pictures have a label file; YOLO when none has one."""

    def num_found(label_format: LabelFormat) -> int:
        return sum(locate_labels(listing, labels, label_format).num_found for listing in listings)

    return max(FOUND_FORMATS, key=num_found)


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
