"""What commands print about how things went."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

_log = logging.getLogger("yoloslim")

_SHOWN_PROBLEMS = 10


def tell_notes(notes: Iterable[str]) -> None:
    """Logs what the user should know, a line each."""
    for note in notes:
        _log.warning("%s", note)


def tell_problems(problems: Sequence[object]) -> list[str]:
    """Logs the first problems and how many more there are, and gives all of them as text, for the JSON."""
    for problem in problems[:_SHOWN_PROBLEMS]:
        _log.warning("%s", problem)
    if len(problems) > _SHOWN_PROBLEMS:
        _log.warning("and %d more problems; --json lists all", len(problems) - _SHOWN_PROBLEMS)
    return [str(problem) for problem in problems]


def change(before: float, after: float) -> str:
    """Gives a change as text: ``8,852,366 -> 4,426,183 (-50.0 %)``."""
    relative = 100 * (after - before) / before if before else 0.0
    return f"{before:,} -> {after:,} ({relative:+.1f} %)"


def share(value: float | None) -> str:
    """Gives a share of 0..1 as ``0.4311``, or a dash where there is none."""
    return "-" if value is None else f"{value:.4f}"
