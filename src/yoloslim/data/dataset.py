"""A data set: the pictures of one split with their labels, read one by one, nothing kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from yoloslim.boxes.annotation import Annotation
from yoloslim.data.annotations import Kind, LabelFormat, LabelReading, Problem
from yoloslim.data.formats import FORMATS
from yoloslim.data.labels import Located, find_format, locate_labels
from yoloslim.data.listing import list_pictures
from yoloslim.data.pictures import Picture, read_picture
from yoloslim.data.split_labels import SplitFormat, SplitLabels
from yoloslim.data.split_pictures import has_split_labels, match_split, split_format_of
from yoloslim.data.splits import DataFile, Split
from yoloslim.errors import DataError


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture of a data set, not read yet.

    Attributes:
        path: the picture.
        label_path: its label file, or that of its whole split; None for background, a picture without objects.
        label_name: what a label file of a whole split calls it; empty where it has a label file of its own.
    """

    path: Path
    label_path: Path | None = None
    label_name: str = ""


@dataclass(frozen=True, slots=True)
class LoadedSample:
    """One picture of a data set, read.

    Attributes:
        sample: what was read.
        picture: shape (H, W, 3), uint8, BGR; None when the file is missing or damaged.
        annotation: its true boxes, in pixels of ``picture``; None when the picture or the whole label file cannot be
            read. Such a sample is to be skipped: nothing true is known about it.
        problems: everything that was left out, for the user.
    """

    sample: Sample
    picture: Picture | None
    annotation: Annotation | None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Dataset:
    """The pictures of one split. ``dataset[i]`` and iteration read them, one at a time.

    Attributes:
        samples: its pictures.
        label_names: the classes as the labels know them.
        format: of the labels.
        single_class: whether every class becomes the first.
        problems: what is wrong with the split as a whole, for the user.
        notes: lines to tell the user once.
        split_labels: the label files that cover the whole split, read; by path.
    """

    samples: tuple[Sample, ...]
    label_names: tuple[str, ...]
    format: LabelFormat | SplitFormat
    single_class: bool = False
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    split_labels: Mapping[Path, SplitLabels] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> LoadedSample:
        return self.read(self.samples[index])

    def __iter__(self) -> Iterator[LoadedSample]:
        return (self.read(sample) for sample in self.samples)

    @property
    def names(self) -> tuple[str, ...]:
        """The class names, by the class ids of the annotations."""
        return self.label_names[:1] if self.single_class else self.label_names

    @property
    def num_backgrounds(self) -> int:
        """The number of pictures without a label file."""
        return sum(sample.label_path is None for sample in self.samples)

    def read(self, sample: Sample) -> LoadedSample:
        """Gives the picture and the boxes of ``sample``. Never raises for a damaged file: its problems tell."""
        try:
            picture = read_picture(sample.path)
        except DataError as error:
            return LoadedSample(sample, None, None, (unreadable(sample, error),))
        height, width = picture.shape[:2]
        reading = self.read_labels(sample, (width, height))
        return LoadedSample(sample, picture, reading.annotation, reading.problems)

    def read_labels(self, sample: Sample, size: tuple[int, int]) -> LabelReading:
        """Gives the boxes of ``sample`` without reading its picture, given the picture's (width, height) in pixels."""
        reading = self._stated_labels(sample, size)
        if not self.single_class or reading.objects is None:
            return reading
        first = tuple(dataclasses.replace(found, class_id=0) for found in reading.objects)
        return dataclasses.replace(reading, objects=first)

    def _stated_labels(self, sample: Sample, size: tuple[int, int]) -> LabelReading:
        if sample.label_path is None:
            return LabelReading((), ())
        if isinstance(self.format, LabelFormat):
            return self.format.read(sample.label_path, self.label_names, size)
        return self.split_labels[sample.label_path].read(sample.label_name, size)


def unreadable(sample: Sample, error: DataError) -> Problem:
    """Gives the problem of a picture that cannot be read, from the error that reading it raised."""
    message = str(error).removeprefix(f"{sample.path}: ")
    return Problem(sample.path, 0, message, Kind.UNREADABLE_PICTURE)


def load_dataset(data_file: DataFile, split: str) -> Dataset:
    """Gives the data set of one split: train, val (also valid) or test.

    No picture is read, and no label file but one that covers the whole split.

    Raises:
        DataError: the split is not there, has no picture, or its one label file cannot be read.
    """
    stated = data_file.split(split)
    if has_split_labels(stated, data_file.format):
        return _load_split_labels(data_file, stated)
    listings = [list_pictures(entry, data_file.root) for entry in stated.entries]
    label_format = FORMATS[data_file.format] if data_file.format else find_format(listings, stated.labels)
    located = [locate_labels(listing, stated.labels, label_format) for listing in listings]
    samples = tuple(
        Sample(picture, label_path)
        for listing, found in zip(listings, located, strict=True)
        for picture, label_path in zip(listing.pictures, found.paths, strict=True)
    )
    problems = _missing_labels(data_file, split, located)
    notes = tuple(note for listing in listings for note in listing.notes) + _background_note(samples, problems)
    return Dataset(samples, data_file.names, label_format, data_file.single_class, problems, notes)


def load_datasets(data_file: DataFile) -> tuple[dict[str, Dataset], tuple[Problem, ...]]:
    """Gives the data sets of all splits that can be used, by name, and why others cannot.

    Raises:
        DataError: none can.
    """
    datasets, errors = dict[str, Dataset](), dict[str, DataError]()
    for name in data_file.splits:
        try:
            datasets[name] = load_dataset(data_file, name)
        except DataError as error:
            errors[name] = error
    if not datasets:
        raise next(iter(errors.values()))
    told = {name: f"{name} cannot be used ({error})" for name, error in errors.items()}
    return datasets, tuple(Problem(data_file.path, 0, message, Kind.NO_SPLIT) for message in told.values())


def _load_split_labels(data_file: DataFile, stated: Split) -> Dataset:
    matched = match_split(data_file, stated)
    return Dataset(
        tuple(Sample(path, entry.labels.path, name) for entry in matched for path, name in entry.pictures),
        data_file.names,
        split_format_of(data_file.path, stated, data_file.format),
        data_file.single_class,
        tuple(dict.fromkeys(found for entry in matched for found in (*entry.labels.problems, *entry.problems))),
        tuple(dict.fromkeys(note for entry in matched for note in entry.notes)),
        {entry.labels.path: entry.labels for entry in matched},
    )


def _missing_labels(data_file: DataFile, split: str, located: list[Located]) -> tuple[Problem, ...]:
    """Gives a problem for each entry of the split none of whose pictures has a label file."""
    return tuple(
        Problem(
            data_file.path,
            0,
            f"{split}: none of {len(found.paths)} pictures has a label file ({found.format.suffix}, looked in "
            f"{', '.join(map(str, found.looked[:3]))}): set `labels` to the folder of the labels",
            Kind.NO_LABELS,
        )
        for found in located
        if found.num_found == 0
    )


def _background_note(samples: tuple[Sample, ...], problems: tuple[Problem, ...]) -> tuple[str, ...]:
    missing = [sample.path for sample in samples if sample.label_path is None]
    if problems or not missing:
        return ()
    return (f"{len(missing)} of {len(samples)} pictures have no label file, taken as background (first: {missing[0]})",)
