"""Which pictures an entry of a data file means: a folder, a list of pictures, a list of stems, one picture."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from pathlib import Path

from yoloslim.data.formats import FORMATS
from yoloslim.data.pictures import PICTURE_SUFFIXES, is_picture_name
from yoloslim.errors import DataError

SUFFIXES = tuple(PICTURE_SUFFIXES)
STEM_FOLDERS = tuple(dict.fromkeys(name for label_format in FORMATS.values() for name in label_format.folders))


@dataclass(frozen=True, slots=True)
class Listing:
    """The pictures of one entry.

    Attributes:
        pictures: in the order of the list, or sorted for a folder. A listed picture that does not exist stays: reading
            it tells so, by its path.
        folder: the folder that was listed, if the entry is one; label folders may repeat its subfolders.
        notes: lines to tell the user once.
    """

    pictures: tuple[Path, ...]
    folder: Path | None = None
    notes: tuple[str, ...] = ()


def list_pictures(entry: Path, root: Path) -> Listing:
    """Gives the pictures of ``entry``.

    A folder is searched with its subfolders, hidden files left out. A list has one picture a line, relative to the
    list, to ``root`` or to the working folder, or one stem a line (Pascal's ImageSets), whose picture is in
    ``JPEGImages`` or ``images``. A picture is listed as often as it is named.

    Args:
        entry: an existing folder, list or picture.
        root: the data file's ``path``.

    Raises:
        DataError: there is no picture in it, or none of those that a list names exists.
    """
    if entry.is_dir():
        return _list_folder(entry)
    if is_picture_name(entry):
        return Listing((entry,))
    return _read_list(entry, root)


def read_list_lines(path: Path) -> list[str]:
    """Gives the lines of a list that are not blank, with forward slashes.

    Raises:
        DataError: the list is not UTF-8 text, or has no line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: the list cannot be read ({error.strerror})") from error
    except UnicodeDecodeError:
        raise DataError(f"{path}: expected a folder, a picture or a list of pictures, found binary data") from None
    lines = [line.strip().replace("\\", "/") for line in text.splitlines()]  # lists are often made on Windows
    lines = [line for line in lines if line]
    if not lines:
        raise DataError(f"{path}: expected a list with one picture a line, found an empty file")
    return lines


def _list_folder(folder: Path) -> Listing:
    # glob, not Path.rglob: it follows links to folders and leaves hidden files out.
    # Names are sieved and sorted as text, part by part: for 100,000 of them, paths take seconds.
    names = glob.iglob("**/*", root_dir=folder, recursive=True)  # noqa: PTH207
    found = sorted((name for name in names if name.lower().endswith(SUFFIXES)), key=_parts)
    pictures = tuple(folder / name for name in found)
    if not pictures:
        raise DataError(
            f"{folder}: expected a folder with pictures, found none in it (looked for .jpg, .png and alike)"
        )
    return Listing(pictures, folder)


def _parts(name: str) -> list[str]:
    return name.split(os.sep)  # noqa: PTH206


def _read_list(path: Path, root: Path) -> Listing:
    lines = read_list_lines(path)
    stems = _StemFinder(path, root)
    pictures = [_find_listed(line, path, root) if is_picture_name(Path(line)) else stems.find(line) for line in lines]
    if not any(picture.exists() for picture in pictures):
        raise DataError(
            f"{path}: none of the {len(pictures)} pictures it lists exists; the first one is {lines[0]!r}, "
            f"expected at {pictures[0]}: set `path` to the data's folder, or correct the list"
        )
    moved = sum(Path(line).is_absolute() and Path(line) != found for line, found in zip(lines, pictures, strict=True))
    note = f"{path}: {moved} absolute paths are not there; their last two parts are taken under {root}"
    return Listing(tuple(pictures), notes=(note,) if moved else ())


def _find_listed(line: str, list_path: Path, root: Path) -> Path:
    stated = Path(line)
    places = [list_path.parent / stated, root / stated, stated]
    if stated.is_absolute():
        places = [stated, root.joinpath(*stated.parts[-2:])]
    return next((place for place in places if place.exists()), places[0])


class _StemFinder:
    """Finds pictures by stem, in the picture folders of ``path`` or of the ImageSets list's own data set."""

    def __init__(self, list_path: Path, root: Path) -> None:
        data_set = next((parent.parent for parent in list_path.parents if parent.name == "ImageSets"), root)
        folders = [base / name for base in (root, data_set) for name in STEM_FOLDERS]
        self._folders = [folder for folder in folders if folder.is_dir()] or folders[:1]
        self._by_stem: dict[str, Path] = {}
        self._is_listed = False

    def find(self, stem: str) -> Path:
        if not self._is_listed:
            self._list()
        return self._by_stem.get(stem, self._folders[0] / f"{stem}.jpg")

    def _list(self) -> None:
        for folder in reversed(self._folders):  # the first folder wins
            if folder.is_dir():
                self._by_stem.update({path.stem: path for path in folder.iterdir() if is_picture_name(path)})
        self._is_listed = True
