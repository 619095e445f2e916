"""Data sets from one label format to another. Nothing is lost without being counted and told by path."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from yoloslim.data.annotations import BOX_KINDS, Kind, LabelReading, Problem
from yoloslim.data.dataset import Dataset, Sample, load_dataset, unreadable
from yoloslim.data.pictures import read_picture
from yoloslim.data.set_writer import UNSAFE_PATH, UNSAFE_TEXT, Placing, SetWriter
from yoloslim.data.splits import DataFile
from yoloslim.data.targets import Target, fitted
from yoloslim.errors import DataError
from yoloslim.files import write_folder_atomically

CHUNK = 64  # pictures that are read at a time
MAX_THREADS = 8
UNLISTED_KINDS = frozenset((Kind.UNLISTED, Kind.BAD_FILE_NAME))
"""Kinds of problems that stand for a picture which is no sample of its data set."""

LEFT_OUT_KINDS = BOX_KINDS | UNLISTED_KINDS
LEFT_OUT_KINDS |= {Kind.UNREADABLE_PICTURE, Kind.UNREADABLE_LABELS, Kind.UNLISTABLE, Kind.DIFFICULT}
"""Kinds of problems that stand for one picture or box that is not written."""

_LOST = {
    Kind.DIFFICULT: "{target} cannot mark boxes as difficult: {count} left out",
    Kind.CUT: "{target} wants boxes inside the picture: {count} cut at its border",
    Kind.CORNERS: "{target} has no corners of oriented boxes: {count} made upright",
}


@dataclass(slots=True)
class SplitCounts:
    """What went in and what came out of one split.

    Attributes:
        pictures_in: that it has, as often as they are listed.
        pictures_out: of those, that were written.
        boxes_in: that the labels of readable pictures state, good or bad.
        boxes_out: of those, that were written.
        backgrounds: pictures that were written and for which no box is stated.
        left_out: pictures and boxes that were not written, by kind.
        changed: boxes that were written as something else, by kind.
    """

    pictures_in: int = 0
    pictures_out: int = 0
    boxes_in: int = 0
    boxes_out: int = 0
    backgrounds: list[Path] = field(default_factory=list)
    left_out: Counter[Kind] = field(default_factory=Counter)
    changed: Counter[Kind] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Conversion:
    """A data set that was converted.

    Attributes:
        data_files: those that were written, the YAML first.
        splits: counts of each split.
        problems: everything that was left out or changed.
        notes: lines to tell the user once.
    """

    data_files: tuple[Path, ...]
    splits: dict[str, SplitCounts]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def convert_data(
    data_file: DataFile,
    target: Target,
    out: Path,
    placing: Placing = "list",
    progress: Callable[[int, int], None] | None = None,
) -> Conversion:
    """Writes a data set in another form: labels, lists of pictures, class names and data files.

    A picture without objects gets an empty label file. Splits whose paths are not there are left out, with a note.

    Args:
        data_file: the data set.
        target: the form of its labels.
        out: the folder, new or empty; it appears whole or not at all.
        placing: what becomes of the pictures.
        progress: called with the number of samples done, and of all.

    Raises:
        DataError: a split cannot be read, has no picture that can be written, or names cannot be written.
        OutputError: the folder is not empty or cannot be written.
    """
    datasets, notes = _load_splits(data_file)
    names = next(iter(datasets.values())).names
    _check_names(data_file, names, target)
    with write_folder_atomically(out) as folder:
        writer = SetWriter(folder, target, placing, names)
        work = _Work(writer, target, placing, progress, sum(map(len, datasets.values())))
        splits = {split: work.convert(split, dataset) for split, dataset in datasets.items()}
        data_files = writer.finish(re.sub(r"[^\w.+-]+", "_", out.absolute().name) or "data")
    for split, counts in splits.items():
        notes += _background_notes(split, counts)
    problems = tuple(dict.fromkeys(work.problems))
    return Conversion(tuple(out / name for name in data_files), splits, problems, tuple(notes))


def _load_splits(data_file: DataFile) -> tuple[dict[str, Dataset], list[str]]:
    usable = [name for name, split in data_file.splits.items() if not split.fault]
    if not usable:
        data_file.split(next(iter(data_file.splits)))  # raises, and says why
    datasets = {name: load_dataset(data_file, name) for name in usable}
    notes = [f"{split.fault}; {name} is left out" for name, split in data_file.splits.items() if split.fault]
    return datasets, notes + [note for dataset in datasets.values() for note in dataset.notes]


def _check_names(data_file: DataFile, names: Sequence[str], target: Target) -> None:
    for name in names:
        if UNSAFE_TEXT.search(name) or name != name.strip():
            raise DataError(
                f"{data_file.path}: class {name!r} has a line break, a control character or a blank at its end, "
                "which a .names file cannot hold: rename it"
            )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice and target.names_are_classes:
        message = f"two classes are called {twice[0]!r}, but {target.name} knows classes by name: rename one"
        raise DataError(f"{data_file.path}: {message}")


def _background_notes(split: str, counts: SplitCounts) -> list[str]:
    if not counts.backgrounds:
        return []
    first = f"first: {counts.backgrounds[0]}"
    return [f"{split}: {len(counts.backgrounds)} of {counts.pictures_out} pictures have no objects ({first})"]


class _Read(NamedTuple):
    """One picture: its (width, height), and its labels. A picture that cannot be read has neither."""

    sample: Sample
    size: tuple[int, int] | None
    labels: LabelReading


@dataclass(slots=True)
class _Work:
    """Converts split after split, and keeps what is to be told."""

    writer: SetWriter
    target: Target
    placing: Placing
    progress: Callable[[int, int], None] | None
    total: int
    problems: list[Problem] = field(default_factory=list)
    done: int = 0

    def convert(self, split: str, dataset: Dataset) -> SplitCounts:
        """Writes one split."""
        counts = SplitCounts()
        self._tell(counts, dataset.problems)
        counts.pictures_in = sum(counts.left_out[kind] for kind in UNLISTED_KINDS)
        counts.boxes_in = counts.left_out[Kind.MALFORMED]  # those that belong to no picture
        for read in _read(dataset):
            self._convert_picture(split, read, counts)
            self.done += 1
            if self.progress is not None:
                self.progress(self.done, self.total)
        if not counts.pictures_out:
            why = f" ({self.problems[0]})" if self.problems else ""
            raise DataError(f"{split}: none of its {counts.pictures_in} pictures can be converted{why}")
        return counts

    def _convert_picture(self, split: str, read: _Read, counts: SplitCounts) -> None:
        unlistable = _unlistable(read.sample.path) if self.placing == "list" else []
        self._tell(counts, [*read.labels.problems, *unlistable])
        stated = read.labels.objects or ()
        num_stated = len(stated) + sum(problem.kind in BOX_KINDS for problem in read.labels.problems)
        counts.pictures_in += 1
        counts.boxes_in += num_stated
        if read.size is None or read.labels.objects is None or unlistable:
            return
        objects, lost = fitted(stated, self.target, read.size)
        self._tell_lost(counts, read.sample.path, lost)
        self.writer.add(split, read.sample.path, read.size, objects)
        counts.pictures_out += 1
        counts.boxes_out += len(objects)
        if not num_stated:
            counts.backgrounds.append(read.sample.path)

    def _tell(self, counts: SplitCounts, problems: Sequence[Problem]) -> None:
        self.problems.extend(problems)
        for problem in problems:
            if problem.kind in LEFT_OUT_KINDS:
                counts.left_out[problem.kind] += 1

    def _tell_lost(self, counts: SplitCounts, path: Path, lost: Counter[Kind]) -> None:
        for kind, count in lost.items():
            message = _LOST[kind].format(target=self.target.name, count=count)
            self.problems.append(Problem(path, 0, message, kind))
            (counts.left_out if kind in LEFT_OUT_KINDS else counts.changed)[kind] += count


def _read(dataset: Dataset) -> Iterator[_Read]:
    """Reads pictures, for their size and whether they are whole, and labels; in order, by several threads."""

    def read(sample: Sample) -> _Read:
        try:
            height, width = read_picture(sample.path).shape[:2]
        except DataError as error:
            return _Read(sample, None, LabelReading(None, (unreadable(sample, error),)))
        return _Read(sample, (width, height), dataset.read_labels(sample, (width, height)))

    with ThreadPoolExecutor(min(os.cpu_count() or 1, MAX_THREADS)) as pool:
        for start in range(0, len(dataset), CHUNK):
            yield from pool.map(read, dataset.samples[start : start + CHUNK])


def _unlistable(path: Path) -> list[Problem]:
    if not UNSAFE_PATH.search(str(path.absolute())):
        return []
    message = "its path has a line break, a backslash or a control character, which a list cannot hold"
    return [Problem(path, 0, f"{message}; it is left out: use --copy or --link", Kind.UNLISTABLE)]
