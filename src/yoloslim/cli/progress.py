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
    with changing_bar(session) as show:
        show(title, 0, total)
        yield lambda done: show(title, done, total)


@contextmanager
def changing_bar(session: Session) -> Iterator[Callable[[str, int, int | None], None]]:
    """Gives a function that takes a title, the number of things done and of all; a new title starts a new bar."""
    if session.quiet or not sys.stderr.isatty():
        yield lambda title, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty()) as bar:

        def show(title: str, done: int, total: int | None) -> None:
            task = next((task for task in bar.tasks if task.description == title), None)
            if task is None:
                for earlier in bar.task_ids:
                    bar.remove_task(earlier)
                bar.add_task(title, total=total, completed=done)
            else:
                bar.update(task.id, completed=done, total=total)

        yield show
