"""A progress bar with the time left, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from yoloslim.cli.session import Session


@contextmanager
def progress_bar(session: Session, title: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Gives a function that takes the number of things done; silent under ``--quiet`` and where output is no terminal.

    Args:
        total: number of things to do; None where nobody knows.
    """
    if session.quiet or not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.update(task, completed=done)
