"""Everything that is wrong with a data set, by kind, in one pass over its pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from yoloslim.data.annotations import (
    BAD_FILE_NAME,
    MALFORMED,
    NO_AREA,
    NO_LABELS,
    OUTSIDE,
    SIZE_MISMATCH,
    UNKNOWN_CLASS,
    UNLISTED,
    UNREADABLE_LABELS,
    UNREADABLE_PICTURE,
    Problem,
)
from yoloslim.data.dataset import Dataset, load_dataset
from yoloslim.data.inspection import (
    GREY,
    NO_BOXES,
    NO_LABEL_FILE,
    OVER_BORDER,
    REPEATED,
    TURNED,
    Inspection,
    inspect_all,
)
from yoloslim.data.likeness import find_alike
from yoloslim.data.splits import DataFile
from yoloslim.errors import DataError

Severity = Literal["error", "warning", "note"]

NO_SPLIT = "split that cannot be used"
LEAKED, NEARLY_LEAKED = "picture of two splits", "picture nearly of two splits"
COPY, NEARLY_COPY = "picture twice in a split", "picture nearly twice in a split"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem.

    Attributes:
        name: as in ``Problem.kind``.
        severity: ``error`` where something that the files say is lost or untrue, or figures measured on the set are;
            ``warning`` where a person should look; ``note`` for what is good to know.
        effect: what it does to training or measuring, and what to do.
    """

    name: str
    severity: Severity
    effect: str


_LEFT_OUT = "the box is left out: what it marks is trained as background; correct the label"
KINDS = {
    kind.name: kind
    for kind in (
        Kind(UNREADABLE_PICTURE, "error", "it and its boxes are left out; fetch it again"),
        Kind(UNREADABLE_LABELS, "error", "nothing true is known of the picture, so it is left out"),
        Kind(NO_LABELS, "error", "every picture is trained as background; say where the labels are"),
        Kind(BAD_FILE_NAME, "error", "the picture and its boxes are left out"),
        Kind(MALFORMED, "error", _LEFT_OUT),
        Kind(UNKNOWN_CLASS, "error", f"{_LEFT_OUT}, or the names"),
        Kind(OUTSIDE, "error", _LEFT_OUT),
        Kind(NO_AREA, "error", _LEFT_OUT),
        Kind(SIZE_MISMATCH, "error", "the boxes are used as written and lie in the wrong place if the picture was changed"),
        Kind(LEAKED, "error", "what is measured on it was learnt by heart: keep it in one split"),
        Kind(NO_SPLIT, "warning", "commands that need it will refuse the data file"),
        Kind(UNLISTED, "warning", "it is left out"),
        Kind(NEARLY_LEAKED, "warning", "figures are too good where a picture like it was trained on"),
        Kind(COPY, "warning", "it counts twice, in training and in figures"),
        Kind(REPEATED, "warning", "it weighs twice in training, and one of the two is always missed in AP"),
        Kind(NO_LABEL_FILE, "warning", "it is trained as background; right only if it shows none of the classes"),
        Kind(NO_BOXES, "warning", "the picture is trained as background; right only if it shows none of the classes"),
        Kind(TURNED, "warning", "boxes are laid on the turned picture; tools that ignore EXIF drew them on the stored one"),
        Kind(NEARLY_COPY, "note", "it adds little"),
        Kind(OVER_BORDER, "note", "it is cut at the border in training, and compared whole in AP"),
        Kind(GREY, "note", "it is read as three equal channels"),
        Kind("", "warning", "see the message"),
    )
}
"""Kinds of problems by name, the worst first; the last is for what has no other."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a check of a data set has found.

    Attributes:
        datasets: the splits that can be used, by name.
        inspections: of every sample of these splits.
        problems: everything, in the order of the splits and their samples.
    """

    datasets: Mapping[str, Dataset]
    inspections: Mapping[str, tuple[Inspection, ...]]
    problems: tuple[Problem, ...]

    def by_kind(self) -> dict[Kind, tuple[Problem, ...]]:
        """Gives the problems of every kind that there is one of, the worst kinds first."""
        found = {kind: [p for p in self.problems if KINDS.get(p.kind, KINDS[""]) is kind] for kind in KINDS.values()}
        return {kind: tuple(problems) for kind, problems in found.items() if problems}


Progress = Callable[[str, int, int], None]
"""Takes what is being done, how much of it is done, and of how much."""


def check(data_file: DataFile, progress: Progress | None = None) -> Report:
    """Gives everything that is wrong with a data set.

    Raises:
        DataError: none of its splits can be used.
    """
    tell = progress or (lambda what, done, total: None)
    datasets, problems = _usable_splits(data_file)
    total, done = sum(map(len, datasets.values())), 0
    inspections: dict[str, tuple[Inspection, ...]] = {}
    for name, dataset in datasets.items():
        found = []
        for inspection in inspect_all(dataset):
            found.append(inspection)
            done += 1
            tell("reading pictures", done, total)
        inspections[name] = tuple(found)
        problems += [*dataset.problems, *_own_problems(dataset, found)]
    pictures = [_Picture(name, found) for name, its in inspections.items() for found in its if found.digest]
    problems += _copies(pictures)
    problems += _alike(pictures, list(datasets), lambda done, total: tell("comparing pictures", done, total))
    return Report(datasets, inspections, tuple(dict.fromkeys(problems)))


def _usable_splits(data_file: DataFile) -> tuple[dict[str, Dataset], list[Problem]]:
    datasets, problems, errors = dict[str, Dataset](), list[Problem](), list[DataError]()
    for name in data_file.splits:
        try:
            datasets[name] = load_dataset(data_file, name)
        except DataError as error:
            errors.append(error)
            problems.append(Problem(data_file.path, 0, f"{name}: {error}", NO_SPLIT))
    if not datasets:
        raise errors[0]
    return datasets, problems


def _own_problems(dataset: Dataset, inspections: Sequence[Inspection]) -> Iterator[Problem]:
    """Problems of single samples; where no picture has a label file, one line about that is enough."""
    has_none = any(problem.kind == NO_LABELS for problem in dataset.problems)
    for problem in (problem for inspection in inspections for problem in inspection.problems):
        if not (has_none and problem.kind == NO_LABEL_FILE):
            yield problem


@dataclass(frozen=True, slots=True)
class _Picture:
    """A picture that could be read, and its split."""

    split: str
    inspection: Inspection

    def __str__(self) -> str:
        return f"{self.inspection.sample.path} of {self.split}"


def _copies(pictures: Sequence[_Picture]) -> Iterator[Problem]:
    """Pictures whose files are equal byte for byte to one before."""
    by_digest: dict[bytes, dict[str, _Picture]] = {}
    for picture in pictures:
        first_of = by_digest.setdefault(picture.inspection.digest, {})
        if picture.split in first_of:
            yield _likeness(picture, first_of[picture.split], "is byte for byte", COPY)
        else:
            yield from (_likeness(picture, other, "is byte for byte", LEAKED) for other in first_of.values())
            first_of[picture.split] = picture


def _alike(
    pictures: Sequence[_Picture], splits: Sequence[str], progress: Callable[[int, int], None]
) -> Iterator[Problem]:
    """Pictures that show nearly the same as one before; of equal files only the first counts."""
    firsts = list({picture.inspection.digest: picture for picture in reversed(pictures)}.values())[::-1]
    small = [picture.inspection.small for picture in firsts if picture.inspection.small is not None]
    groups = [splits.index(picture.split) for picture in firsts]
    for like in find_alike(small, groups, lambda done: progress(done, len(firsts))):
        picture, earlier = firsts[like.picture], firsts[like.earlier]
        kind = NEARLY_COPY if picture.split == earlier.split else NEARLY_LEAKED
        yield _likeness(picture, earlier, "shows nearly what is on", kind)


def _likeness(picture: _Picture, earlier: _Picture, words: str, kind: str) -> Problem:
    return Problem(picture.inspection.sample.path, 0, f"(in {picture.split}) {words} {earlier}", kind)
