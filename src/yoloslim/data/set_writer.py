"""The files of a data set: labels, lists of pictures, class names, a ``.data`` and a YAML data file."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import yaml

from yoloslim.data.annotations import LabelledBox, LabelledPicture
from yoloslim.data.targets import Target
from yoloslim.errors import DataError

Placing = Literal["list", "link", "copy"]
"""What becomes of the pictures: listed where they are, linked to, or copied."""

UNSAFE_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
"""What a list, a .names or an xml file cannot hold: line breaks, control characters, half characters."""

UNSAFE_PATH = re.compile(rf"{UNSAFE_TEXT.pattern}|\\")
"""What a list cannot hold of a path: also a backslash, which is taken for a slash."""

DARKNET_KEYS = {"val": "valid"}


@dataclass(slots=True)
class _Split:
    """One split as far as it is written: its list, and what a label file of all of it will say."""

    lines: list[str] = field(default_factory=list)
    pictures: dict[Path, LabelledPicture] = field(default_factory=dict)


class SetWriter:
    """Writes a data set into an empty folder, picture by picture.

    Args:
        folder: where to; it may get its final name later.
        target: the form of the labels.
        placing: what becomes of the pictures.
        names: the class names.
    """

    def __init__(self, folder: Path, target: Target, placing: Placing, names: Sequence[str]) -> None:
        self._folder = folder
        self._target = target
        self._placing = placing
        self._names = names
        self._labels = target.labels if placing == "list" else target.labels_beside
        self._splits: dict[str, _Split] = {}
        self._name_of: dict[tuple[str, Path], str] = {}  # by folder and picture
        self._taken: dict[str, Path] = {}  # pictures by what must differ of their names

    def add(self, split: str, source: Path, size: tuple[int, int], objects: tuple[LabelledBox, ...]) -> None:
        """Writes the labels of a picture, and lists, links or copies it; a second time, only lists it once more.

        Args:
            split: train, val or test.
            source: the picture.
            size: its (width, height) in pixels.
            objects: as the target can say them (`targets.fitted`).

        Raises:
            DataError: its label file would take another picture's place.
            OSError: a file cannot be written.
        """
        written = self._splits.setdefault(split, _Split())
        place = self._target.pictures.format(split=split)
        name = self._name_of.get((place, source)) or self._choose_name(split, place, source)
        line = str(source.absolute()) if self._placing == "list" else f"{place}/{name}"
        written.lines.append(line)
        if source in written.pictures:  # listed once more, as the data set does
            return
        picture = LabelledPicture(name, size, objects)
        written.pictures[source] = picture if self._target.write_split else dataclasses.replace(picture, objects=())
        if self._target.write is not None:
            path = self._folder / self._labels.format(split=split) / (Path(name).stem + self._target.suffix)
            _write(path, self._target.write(picture, self._names))
        if (place, source) not in self._name_of and self._placing != "list":
            self._place(source, self._folder / line)
        self._name_of[place, source] = name

    def finish(self, stem: str) -> tuple[Path, ...]:
        """Writes lists, names and data files; gives the data files' names, the YAML first.

        Args:
            stem: what the data files are called.
        """
        for split, written in self._splits.items():
            _write(self._folder / f"{split}.txt", _lines(written.lines))
            if self._placing != "list" and self._target.lists_stems:
                _write(
                    self._folder / self._target.lists_stems.format(split=split),
                    _lines([Path(line).stem for line in written.lines]),
                )
            if self._target.write_split is not None:
                pictures, folder = self._relative(split, written)
                text = self._target.write_split(pictures, self._names, folder)
                _write(self._folder / self._labels.format(split=split), text)
        _write(self._folder / f"{stem}.names", _lines(self._names))
        _write(self._folder / f"{stem}.yaml", self._yaml())
        _write(self._folder / f"{stem}.data", self._darknet(stem))
        return Path(f"{stem}.yaml"), Path(f"{stem}.data")

    def _choose_name(self, split: str, place: str, source: Path) -> str:
        if self._placing == "list":
            if self._target.write is not None:
                self._claim(f"{self._labels.format(split=split)}/{source.stem}", source)
            return source.name
        stem, suffix, number = UNSAFE_PATH.sub("_", source.stem), UNSAFE_PATH.sub("_", source.suffix), 1
        name = stem + suffix
        while f"{place}/{Path(name).stem}".lower() in self._taken:  # some file systems know no capital letters
            number += 1
            name = f"{stem}-{number}{suffix}"
        self._taken[f"{place}/{Path(name).stem}".lower()] = source
        return name

    def _claim(self, label: str, source: Path) -> None:
        other = self._taken.setdefault(label.lower(), source)
        if other != source:
            raise DataError(
                f"{source}: its label file would be that of {other}, {label}{self._target.suffix}: use --copy or "
                "--link, which number pictures of one name"
            )

    def _place(self, source: Path, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if self._placing == "copy":
            shutil.copyfile(source, path)
        else:
            path.symlink_to(source.absolute())

    def _relative(self, split: str, written: _Split) -> tuple[list[LabelledPicture], str]:
        """Gives the pictures with their names relative to one folder, and that folder."""
        if self._placing != "list":
            return list(written.pictures.values()), self._target.pictures.format(split=split)
        folder = os.path.commonpath([source.absolute().parent for source in written.pictures])
        return [
            dataclasses.replace(picture, name=source.absolute().relative_to(folder).as_posix())
            for source, picture in written.pictures.items()
        ], folder

    def _options(self) -> dict[str, str]:
        """Gives what both data files say, with paths relative to their folder."""
        lists = {split: f"{split}.txt" for split in self._splits}
        labels = {f"labels_{split}": self._labels.format(split=split) for split in self._splits}
        return {**lists, **labels, "format": self._target.format}

    def _yaml(self) -> str:
        content = {**self._options(), "names": list(self._names)}
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)

    def _darknet(self, stem: str) -> str:
        options = {"classes": str(len(self._names)), **self._options(), "names": f"{stem}.names"}
        return _lines([f"{DARKNET_KEYS.get(key, key)} = {value}" for key, value in options.items()])


def _lines(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
