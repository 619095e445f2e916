"""What a table of results is made of."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Report = Mapping[str, Any]

RUNS = "RUNS/"
"""In a command: the folder that holds a folder for each cell of the table, as ``RUNS/CELL/run/last.safetensors``."""


BFLOAT16 = "--set train.precision=bf16-mixed"
"""Halves the time of a training on a processor made for it; tables with many trainings would else take days."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One measurement.

    Attributes:
        name: also its file's name; cells of one name show figures of one run.
        row: empty where the table does not show it: other cells go on from what it leaves.
        commands: ``yoloslim`` commands, or scripts in ``benchmarks/``, run one after the other in an empty folder; the
            last one's report counts.
        keys: what is stored of that report.
        text: what the table shows of it.
        exit_code: of the last command; 2 where the table shows that something is refused.
    """

    name: str
    row: str
    column: str
    commands: tuple[str, ...]
    keys: tuple[str, ...]
    text: Callable[[Report], str]
    exit_code: int = 0

    @property
    def needs(self) -> frozenset[str]:
        """Names of the cells whose files its commands read."""
        return frozenset(name for command in self.commands for name in re.findall(rf"{RUNS}([^/\s]+)/", command))


Reports = Mapping[tuple[str, str], Report]
"""What has been run, by row and column."""


@dataclass(frozen=True, slots=True)
class Table:
    """Cells in rows and columns.

    Attributes:
        corner: heading of the first column.
        cells: each behind those that it needs.
        summary: more columns, each a text made of a row's name and all reports.
    """

    name: str
    title: str
    corner: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[Cell, ...]
    summary: Mapping[str, Callable[[str, Reports], str]] = field(default_factory=dict)

    def at(self, row: str, column: str) -> Cell | None:
        """Gives one cell, None where the table has none there."""
        return next((cell for cell in self.cells if (cell.row, cell.column) == (row, column)), None)

    def named(self, name: str) -> Cell:
        """Gives the first cell of a name."""
        return next(cell for cell in self.cells if cell.name == name)


def map50(report: Report) -> str:
    """Shows the AP50 of an evaluation."""
    return f"{report['map50']:.3f}"


def hidden(name: str, *commands: str, keys: tuple[str, ...] = ("map50", "map")) -> Cell:
    """A run that other cells go on from."""
    return Cell(name, "", "", commands, keys, map50)
