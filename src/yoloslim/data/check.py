"""Everything that is wrong with a data set, by kind, in one pass over its pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from yoloslim.data.annotations import Kind, Problem
from yoloslim.data.dataset import Dataset, load_datasets
from yoloslim.data.inspection import Inspection, inspect_all
from yoloslim.data.likeness import find_alike
from yoloslim.data.splits import DataFile

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How bad a kind of problem is.

    Attributes:
        severity: ``error`` where something that the files say is lost or untrue, or figures measured on the set are;
            ``warning`` where a person should look; ``note`` for what is good to know.
        effect: what it does to training or measuring, and what to do.
    """

    severity: Severity
    effect: str


_LEFT_OUT = "the box is left out, and what it marks is trained as background: correct the label"
_BACKGROUND = "it is trained as background: right only if it shows none of the classes"
VERDICTS = {
    Kind.UNREADABLE_PICTURE: Verdict("error", "it is left out with its boxes: fetch it again"),
    Kind.UNREADABLE_LABELS: Verdict("error", "nothing true is known of the picture, so it is left out"),
    Kind.NO_LABELS: Verdict("error", "every picture is trained as background: say where the labels are"),
    Kind.BAD_FILE_NAME: Verdict("error", "the picture is left out with its boxes"),
    Kind.MALFORMED: Verdict("error", _LEFT_OUT),
    Kind.UNKNOWN_CLASS: Verdict("error", f"{_LEFT_OUT}, or the names"),
    Kind.OUTSIDE: Verdict("error", _LEFT_OUT),
    Kind.NO_AREA: Verdict("error", _LEFT_OUT),
    Kind.SIZE_MISMATCH: Verdict("error", "boxes are used as written: wrong if the picture was resized or turned since"),
    Kind.LEAKED: Verdict("error", "figures on it measure what was learnt by heart: keep it in one split"),
    Kind.NO_SPLIT: Verdict("warning", "commands that need it refuse the data file"),
    Kind.UNLISTED: Verdict("warning", "it is left out"),
    Kind.NEARLY_LEAKED: Verdict("warning", "look at both: figures may measure what was learnt by heart"),
    Kind.COPY: Verdict("warning", "it counts twice, in training and in figures"),
    Kind.REPEATED: Verdict("warning", "it weighs twice in training, and in AP one of the two is always missed"),
    Kind.NO_LABEL_FILE: Verdict("warning", _BACKGROUND),
    Kind.NO_BOXES: Verdict("warning", _BACKGROUND),
    Kind.TURNED: Verdict("warning", "boxes are laid on the turned picture: wrong if they were drawn on the stored one"),
    Kind.NEARLY_COPY: Verdict("note", "it adds little to training, and to what figures are worth"),
    Kind.OVER_BORDER: Verdict("note", "it is cut at the border in training, and compared whole in AP"),
    Kind.IGNORED: Verdict("note", "it is left out, as its data set means it"),
    Kind.GREY: Verdict("note", "it is read as three equal channels"),
}
"""What is to be said of each kind of problem, the worst first."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a check of a data set has found.

    Attributes:
        datasets: the splits that can be used, by name.
        inspections: of every sample of these splits.
        problems: everything, in the order of the splits and their samples.
    """

    datasets: dict[str, Dataset]
    inspections: dict[str, tuple[Inspection, ...]]
    problems: tuple[Problem, ...]

    def by_kind(self) -> dict[Kind, tuple[Problem, ...]]:
        """Gives the problems of every kind that there is one of, the worst kinds first."""
        found: dict[Kind, list[Problem]] = {kind: [] for kind in VERDICTS}
        for problem in self.problems:
            assert problem.kind is not None, problem  # a kind that is not counted would pass silently
            found[problem.kind].append(problem)
        return {kind: tuple(problems) for kind, problems in found.items() if problems}

    def counts(self) -> dict[str, tuple[int, int]]:
        """Gives the number of pictures that are listed, and of good boxes, of every split."""
        return {name: (len(its), sum(found.num_boxes or 0 for found in its)) for name, its in self.inspections.items()}


Progress = Callable[[str, int, int], None]
"""Takes what is being done, how much of it is done, and of how much."""


def check(data_file: DataFile, progress: Progress | None = None) -> Report:
    """Gives everything that is wrong with a data set.

    Raises:
        DataError: none of its splits can be used.
    """
    tell = progress or (lambda what, done, total: None)
    datasets, faults = load_datasets(data_file)
    problems = list(faults)
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


def _own_problems(dataset: Dataset, inspections: Sequence[Inspection]) -> Iterator[Problem]:
    """Problems of single samples; where no picture has a label file, one line about that is enough."""
    has_none = any(problem.kind is Kind.NO_LABELS for problem in dataset.problems)
    for problem in (problem for inspection in inspections for problem in inspection.problems):
        if not (has_none and problem.kind is Kind.NO_LABEL_FILE):
            yield problem


@dataclass(frozen=True, slots=True)
class _Picture:
    """A picture that could be read, and its split."""

    split: str
    inspection: Inspection


def _copies(pictures: Sequence[_Picture]) -> Iterator[Problem]:
    """Pictures whose files are equal byte for byte to one before."""
    by_digest: dict[bytes, dict[str, _Picture]] = {}
    for picture in pictures:
        firsts = by_digest.setdefault(picture.inspection.digest, {})
        if picture.split in firsts:
            yield _likeness(picture, firsts[picture.split], "is byte for byte", Kind.COPY)
        else:
            yield from (_likeness(picture, other, "is byte for byte", Kind.LEAKED) for other in firsts.values())
            firsts[picture.split] = picture


def _alike(
    pictures: Sequence[_Picture], splits: Sequence[str], progress: Callable[[int, int], None]
) -> Iterator[Problem]:
    """Pictures that show nearly the same as one before; of equal files only the first counts."""
    firsts = list({picture.inspection.digest: picture for picture in reversed(pictures)}.values())[::-1]
    small = [picture.inspection.small for picture in firsts if picture.inspection.small is not None]
    groups = [splits.index(picture.split) for picture in firsts]
    for like in find_alike(small, groups, lambda done: progress(done, len(firsts))):
        picture, earlier = firsts[like.picture], firsts[like.earlier]
        kind = Kind.NEARLY_COPY if picture.split == earlier.split else Kind.NEARLY_LEAKED
        yield _likeness(picture, earlier, "shows nearly the same as", kind)


def _likeness(picture: _Picture, earlier: _Picture, words: str, kind: Kind) -> Problem:
    path, other = picture.inspection.sample.path, earlier.inspection.sample.path
    where = "" if picture.split == earlier.split else f" of {earlier.split}"
    return Problem(path, 0, f"in {picture.split}, {words} {other}{where}", kind)
