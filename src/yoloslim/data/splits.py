"""What a data file says, with its paths found: splits, classes, label format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from yoloslim.errors import DataError

SPLITS = ("train", "val", "test")
SPLIT_ALIASES = {"valid": "val"}


@dataclass(frozen=True, slots=True)
class Split:
    """Where one split's pictures and labels are.

    Attributes:
        entries: folders, lists or pictures; they exist.
        labels: the folder of its labels, or the one file that has them all, when the data file names it; it exists.
        notes: lines to tell the user once: which places were chosen.
        fault: why the split cannot be used; empty when it can. Kept until someone asks for the split, because data
            files of others often name test pictures that nobody has.
    """

    entries: tuple[Path, ...]
    labels: Path | None = None
    notes: tuple[str, ...] = ()
    fault: str = ""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A data file, with its paths found.

    Attributes:
        path: the file itself, as the user wrote it.
        root: its ``path``, else its folder.
        names: class names; the index is the class id.
        splits: by name: train, val, test; those that the file has.
        format: the label format that the file states; None: to be found from the labels.
        single_class: whether all classes become the first.
        notes: lines to tell the user once: what was chosen where the file leaves room.
    """

    path: Path
    root: Path
    names: tuple[str, ...]
    splits: Mapping[str, Split]
    format: str | None = None
    single_class: bool = False
    notes: tuple[str, ...] = ()

    def split(self, name: str) -> Split:
        """Gives the split ``name``: train, val (also valid) or test.

        Raises:
            DataError: the file has no such split, or a path of it does not exist.
        """
        split = self.splits.get(SPLIT_ALIASES.get(name, name))
        if split is None:
            raise DataError(
                f"{self.path}: expected a split {name!r}, found {' and '.join(self.splits)}: "
                f"add `{name}: FOLDER` to the file, or choose --split {next(iter(self.splits))}"
            )
        if split.fault:
            raise DataError(split.fault)
        return split
