"""Plain tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> Table:
    """Gives a table whose first ``left`` columns are aligned to the left, the others to the right.

    Where the terminal is too narrow, the last of the left columns folds; the others stay on one line.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    made = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for index, heading in enumerate(headings):
        folds = index == left - 1
        made.add_column(heading, justify="left" if index < left else "right", overflow="fold", no_wrap=not folds)
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made
