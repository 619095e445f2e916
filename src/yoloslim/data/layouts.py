"""Data sets as they are downloaded: a folder laid out as its format has it, taken as a data file would state it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from yoloslim.cfg.names import read_names
from yoloslim.data.datafile import load_data_file
from yoloslim.data.formats.voc import voc_class_names
from yoloslim.data.split_pictures import names_in_labels
from yoloslim.data.splits import DataFile, Split
from yoloslim.errors import DataError

WORDS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test",)}
"""What splits are called in the names of folders and files."""

DATA_SUFFIXES = (".yaml", ".yml", ".data")
NAMES_FILES = ("classes.txt", "labels/classes.txt", "*.names")

Splits = dict[str, Split]


def read_layout(folder: Path, label_format: str) -> DataFile:
    """Gives the data set in a folder that is laid out as its format has it.

    Args:
        folder: of the data set. The layout of ``yolo`` may hold a data file of its own, which is taken then.
        label_format: one of `LAYOUTS`.

    Raises:
        DataError: the folder is missing or laid out otherwise, or the class names are not found.
        CfgError: a data file or a ``.names`` file in it is wrong.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder: correct the path")
    if label_format == "yolo" and (own := _own_data_file(folder)) is not None:
        return own
    find, expected = LAYOUTS[label_format]
    splits = find(folder)
    if not splits:
        raise DataError(
            f"{folder}: expected the layout of {label_format} ({expected}), found none of it: give a data file that "
            "says where pictures and labels are"
        )
    names, notes = _names(folder, label_format, splits)
    return DataFile(folder, folder, names, splits, label_format, notes=notes)


def _own_data_file(folder: Path) -> DataFile | None:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in DATA_SUFFIXES)
    yamls = [path for path in found if path.suffix != ".data"] or found
    if len(yamls) > 1:
        names = ", ".join(path.name for path in yamls)
        raise DataError(f"{folder}: expected one data file in the folder, found {names}: name the one to convert")
    return load_data_file(yamls[0]) if yamls else None


def _names(folder: Path, label_format: str, splits: Splits) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if label_format == "voc":
        return _voc_names(folder)
    if label_format != "yolo":
        return names_in_labels(folder, splits, label_format), ()
    file = next((path for pattern in NAMES_FILES for path in sorted(folder.glob(pattern))), None)
    if file is None:
        raise DataError(f"{folder}: expected the class names in classes.txt or a .names file, found neither: add one")
    return read_names(file), (f"{folder}: class names are those of {file}",)


def _voc_names(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    files = sorted(folder.rglob("*.xml"))
    names = sorted({name for file in files for name in voc_class_names(file)})
    if not names:
        raise DataError(f"{folder}: expected xml files with the names of classes, found none in {len(files)} of them")
    listed = ", ".join(names)
    return tuple(names), (f"{folder}: class names are those of the xml files, in alphabetical order: {listed}",)


def _first(paths: Iterable[Path]) -> Path | None:
    return next((path for path in paths if path.exists()), None)


def _by_split(places: Callable[[str], Iterable[Path]]) -> dict[str, Path]:
    """Gives the first place that is there for each split, given the places for a word."""
    found = {split: _first(place for word in words for place in places(word)) for split, words in WORDS.items()}
    return {split: path for split, path in found.items() if path is not None}


def _yolo(folder: Path) -> Splits:
    found = _by_split(lambda word: (folder / "images" / word, folder / word / "images", folder / word))
    return _splits(found or _whole(folder / "images", folder))


def _voc(folder: Path) -> Splits:
    lists = folder / "ImageSets" / "Main"
    found = _by_split(lambda word: (lists / f"{word}.txt",))
    if "train" not in found and (lists / "trainval.txt").exists():
        found = {"train": lists / "trainval.txt", **found}
    return _splits(found or _whole(folder / "JPEGImages", folder / "images", folder))


def _dior(folder: Path) -> Splits:
    return _splits(_by_split(lambda word: (folder / place / f"{word}.txt" for place in ("ImageSets/Main", "Main"))))


def _coco(folder: Path) -> Splits:
    files = sorted([*folder.glob("*.json"), *folder.glob("*/*.json")])
    files = [path for path in files if path.stem.startswith("instances")] or files  # and no captions, no keypoints
    found = {_split_in(path.stem) or _split_in(path.parent.name): Split((path,)) for path in files}
    return {split: found[split] for split in WORDS if split in found}


def _split_in(name: str) -> str | None:
    """Gives the split that a file or folder name speaks of (``instances_val2017``), None when it speaks of none."""
    parts = re.split(r"[^a-z]+", name.lower())
    return next((split for split, words in WORDS.items() if set(words) & set(parts)), None)


def _visdrone(folder: Path) -> Splits:
    labelled = [path for path in sorted(folder.glob("*/images")) if (path.parent / "annotations").is_dir()]
    found = {_split_in(path.parent.name): path for path in labelled}
    return _splits({split: found[split] for split in WORDS if split in found} or _whole(folder / "images"))


def _bdd100k(folder: Path) -> Splits:
    pictures = _by_split(lambda word: (folder / "images" / "100k" / word, folder / "100k" / word))
    labels = _by_split(
        lambda word: (
            folder / "labels" / "det_20" / f"det_{word}.json",
            folder / "labels" / f"bdd100k_labels_images_{word}.json",
            folder / "labels" / "100k" / word,
        )
    )
    return {split: Split((path,), labels[split]) for split, path in pictures.items() if split in labels}


def _oxford_hands(folder: Path) -> Splits:
    found = _by_split(lambda word: (folder / f"{word}_dataset" / f"{word}_data" / "images",))
    return _splits(found or _whole(folder / "images"))


def _whole(*places: Path) -> dict[str, Path]:
    """Gives the first folder that is there as the training split of a data set that has no splits."""
    pictures = _first(places)
    return {} if pictures is None else {"train": pictures}


def _splits(entries: Mapping[str, Path]) -> Splits:
    return {split: Split((entry,)) for split, entry in entries.items()}


LAYOUTS: dict[str, tuple[Callable[[Path], Splits], str]] = {
    "yolo": (_yolo, "images/train and labels/train, or train/images and train/labels"),
    "voc": (_voc, "JPEGImages, Annotations, ImageSets/Main/train.txt"),
    "coco": (_coco, "annotations/instances_train2017.json and train2017, or train/_annotations.coco.json"),
    "visdrone": (_visdrone, "VisDrone2019-DET-train/images and VisDrone2019-DET-train/annotations"),
    "bdd100k": (_bdd100k, "images/100k/train and labels/det_20/det_train.json"),
    "dior": (_dior, "JPEGImages-trainval, JPEGImages-test, Annotations, ImageSets/Main/train.txt"),
    "oxfordhand": (_oxford_hands, "training_dataset/training_data/images and .../annotations"),
}
"""How each format finds the splits of a folder, and what it looks for."""
