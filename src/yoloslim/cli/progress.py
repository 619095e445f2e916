"""A progress bar with the time left, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from yoloslim.cli.session import Session

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

Show = Callable[[str, int, int | None], None]


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
def changing_bar(session: Session) -> Iterator[Show]:
    """Gives a function that takes a title, the number of things done and of all; a new title starts a new bar."""
    if session.quiet or not sys.stderr.isatty():
        yield _unseen
        return
    from rich.progress import MofNCompleteColumn

    with _bar(MofNCompleteColumn()) as show:
        yield show


@contextmanager
def bytes_bar(session: Session) -> Iterator[Show]:
    """Gives a function like that of ``changing_bar``, for bytes."""
    if session.quiet or not sys.stderr.isatty():
        yield _unseen
        return
    from rich.progress import DownloadColumn

    with _bar(DownloadColumn(binary_units=False)) as show:
        yield show


def _unseen(title: str, done: int, total: int | None) -> None:
    pass


@contextmanager
def _bar(count: ProgressColumn) -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), count, TimeRemainingColumn())
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
