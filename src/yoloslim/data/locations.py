"""Where the paths in a data file point: ``${VAR}`` expanded, relative and moved paths found."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from yoloslim.errors import DataError

VARIABLE = re.compile(r"\$\{([^}]*)\}")


def expand_variables(text: str, *, place: str) -> str:
    """Gives ``text`` with every ``${VAR}`` replaced by the environment's value, and a leading ``~`` by the home folder.

    Args:
        text: a path as written in a data file.
        place: file and key, for the message.

    Raises:
        DataError: a variable is not set, or is empty.
    """

    def value_of(match: re.Match[str]) -> str:
        value = os.environ.get(match[1], "")
        if not value:
            raise DataError(f"{place}: ${{{match[1]}}} is not set in the environment: export {match[1]}=FOLDER first")
        return value

    return os.path.expanduser(VARIABLE.sub(value_of, text))  # noqa: PTH111 (Path would turn "./~x" into "~x")


@dataclass(frozen=True, slots=True)
class Found:
    """Where a path of a data file was found.

    Attributes:
        path: an existing file or folder; None when there is none.
        note: a line for the user when it was not simply where the data file says; else empty.
        looked: every place that was tried, in order.
    """

    path: Path | None
    note: str
    looked: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Places:
    """The folders against which the paths of a data file are taken.

    Attributes:
        file: the data file.
        root: its ``path``, else the folder it lies in.
    """

    file: Path
    root: Path

    def find(self, key: str, value: str) -> Found:
        """Gives the place of ``value``: under ``path``, beside the data file, in the working folder, or moved.

        A moved path is one that an export wrote for another machine (``/content/x/train/images``,
        ``../train/images``): what remains after its leading ``../``, then its last two parts, are looked up under
        ``path``, then in a ``datasets`` folder there.
        """
        beside = [self.root / value, self.file.parent / value]
        moved = [self.root / folder / tail for folder in ("", "datasets") for tail in _tails(value)]
        looked = tuple(dict.fromkeys([*beside, Path(value), *moved]))
        path = next((place for place in looked if place.exists()), None)
        if path is None or path in beside:
            return Found(path, "", looked)
        where = "found in the working folder" if path == Path(value) else f"not there, taken as {path}"
        return Found(path, f"{self.file}: {key}: {value}: {where}", looked)


def _tails(value: str) -> list[Path]:
    parts = [part for part in Path(value).parts if part not in ("..", ".", Path(value).anchor)]
    whole, last_two = Path(*parts), Path(*parts[-2:])
    return [last_two] if Path(value).is_absolute() else [whole, last_two]
