"""What every command shares: its options, its output, its log."""

from __future__ import annotations

import functools
import inspect
import logging
import os
import sys
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from yoloslim.cli.outcome import Result, finish

__all__ = ["Result", "Session", "command"]

_PIPE_COLUMNS = 140  # of a table that goes to a file or another program


@dataclass(frozen=True, slots=True)
class Session:
    """How one command was asked to behave.

    Attributes:
        seed: of every random choice.
        device: torch device, or ``auto``.
        quiet: print nothing but errors.
        debug: show the trace of an error.
        log: a file that gets what is printed.
    """

    seed: int
    device: str
    quiet: bool
    debug: bool
    log: Path | None = None

    def silent(self) -> Session:
        """Gives a session that prints nothing, for all but the first of several processes."""
        logging.getLogger("yoloslim").setLevel(logging.ERROR)
        return replace(self, quiet=True)

    @contextmanager
    def logged(self, path: Path) -> Iterator[Session]:
        """Gives a session whose lines and warnings are added to a file as well, while the block runs."""
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s: %(message)s"))
        logger = logging.getLogger("yoloslim")
        logger.addHandler(handler)
        try:
            yield replace(self, log=path)
        finally:
            logger.removeHandler(handler)
            handler.close()

    def print(self, text: Any = "") -> None:
        """Prints text, or whatever rich renders, unless ``--quiet``; text goes to the log, where there is one."""
        if self.log is not None and isinstance(text, str):
            with self.log.open("a", encoding="utf-8") as file:
                file.write(f"{text}\n")
        if not self.quiet:
            with suppress(SystemExit):  # rich would end the program where the reader of a pipe has gone
                _console().print(text, markup=False, highlight=False, soft_wrap=isinstance(text, str))


_SHARED = {
    "json_file": Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the result as JSON.")],
    "seed": Annotated[int, typer.Option(metavar="N", help="Seed of every random choice.")],
    "device": Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1 ...")],
    "quiet": Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")],
    "debug": Annotated[bool, typer.Option("--debug", help="Show the trace of an error.")],
}
_DEFAULTS = {"json_file": None, "seed": 0, "device": "auto", "quiet": False, "debug": False}


def command(function: Callable[..., Result]) -> Callable[..., None]:
    """Gives a command for Typer: the shared options added, errors as one line, the result as JSON.

    Args:
        function: takes a ``Session`` first, then its own options; returns the keys of its JSON.
    """
    hints = typing.get_type_hints(function, include_extras=True)
    own = [p.replace(annotation=hints[p.name]) for p in list(inspect.signature(function).parameters.values())[1:]]

    @functools.wraps(function)
    def run(**values: Any) -> None:
        json_file = values.pop("json_file")
        session = Session(**{name: values.pop(name) for name in ("seed", "device", "quiet", "debug")})
        _configure_logging(session)
        raise typer.Exit(finish(lambda: function(session, **values), json_file, debug=session.debug))

    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=_DEFAULTS[name], annotation=kind)
        for name, kind in _SHARED.items()
    ]
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + shared
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    del run.__wrapped__
    return run


def _configure_logging(session: Session) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logging.addLevelName(logging.WARNING, "warning")
    root = logging.getLogger("yoloslim")
    root.handlers = [handler]
    root.setLevel(logging.ERROR if session.quiet else logging.DEBUG if session.debug else logging.INFO)


def _console() -> Any:
    from rich.console import Console

    is_measured = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if is_measured else _PIPE_COLUMNS)
