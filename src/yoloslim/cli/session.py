"""What every command shares: its options, its output, its errors and exit codes."""

from __future__ import annotations

import functools
import inspect
import json
import logging
import math
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from yoloslim.errors import YoloslimError
from yoloslim.files import write_atomically

Result = dict[str, Any]

EXIT_CHECK_FAILED = 1
EXIT_WRONG_INPUT = 2
EXIT_INTERRUPTED = 130


class CheckFailed(YoloslimError):
    """A check that a command makes on its own result did not hold; the command exits with 1."""


@dataclass(frozen=True, slots=True)
class Session:
    """How one command was asked to behave.

    Attributes:
        seed: of every random choice.
        device: torch device, or ``auto``.
        quiet: print nothing but errors.
        debug: show the trace of an error.
    """

    seed: int
    device: str
    quiet: bool
    debug: bool

    def print(self, text: Any = "") -> None:
        """Prints text, or whatever rich renders, unless ``--quiet``."""
        if not self.quiet:
            _console().print(text, markup=False, highlight=False, soft_wrap=isinstance(text, str))


_SHARED = {
    "json_file": Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the result as JSON.")],
    "seed": Annotated[int, typer.Option(help="Seed of every random choice.")],
    "device": Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")],
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
        code = _run(lambda: function(session, **values), json_file, session)
        if code:
            raise typer.Exit(code)

    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=_DEFAULTS[name], annotation=kind)
        for name, kind in _SHARED.items()
    ]
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + shared
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    del run.__wrapped__
    return run


def _run(work: Callable[[], Result], json_file: Path | None, session: Session) -> int:
    try:
        result = work()
    except YoloslimError as error:
        if session.debug:
            raise
        return _failed(str(error), json_file, EXIT_CHECK_FAILED if isinstance(error, CheckFailed) else EXIT_WRONG_INPUT)
    except KeyboardInterrupt:
        return _failed("interrupted", json_file, EXIT_INTERRUPTED)
    if json_file is not None:
        _write_json(json_file, {"schema": 1, **result})
    return 0


def _failed(message: str, json_file: Path | None, code: int) -> int:
    typer.echo(f"error: {message}", err=True)
    if json_file is not None:
        _write_json(json_file, {"schema": 1, "error": message})
    return code


def _write_json(path: Path, record: Result) -> None:
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(_plain(record), indent=1, default=str) + "\n")


def _plain(value: Any) -> Any:
    """JSON has no NaN or infinity: they become null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _configure_logging(session: Session) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logging.addLevelName(logging.WARNING, "warning")
    root = logging.getLogger("yoloslim")
    root.handlers = [handler]
    root.setLevel(logging.ERROR if session.quiet else logging.DEBUG if session.debug else logging.INFO)


@functools.cache
def _console() -> Any:
    from rich.console import Console

    return Console()
