"""How a command ends: its exit code, its JSON, and one line where something is wrong."""

from __future__ import annotations

import json
import math
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import typer

from yoloslim.cli.outputs import check_folder
from yoloslim.errors import OutputError, YoloslimError, is_out_of_memory
from yoloslim.files import write_atomically

Result = dict[str, Any]

EXIT_CHECK_FAILED = 1
EXIT_WRONG_INPUT = 2
EXIT_BUG = 70  # EX_SOFTWARE of sysexits.h
EXIT_INTERRUPTED = 130  # as shells have it: 128 + SIGINT

# Typer refuses an option with one of its own, or of click's, depending on its release; the base class is the same.
USAGE_ERROR: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "UsageError")

SCHEMA = 1
"""Version of the JSON that commands write."""


class CheckFailed(YoloslimError):
    """A check that a command makes did not hold; the command exits with 1.

    Args:
        result: what the JSON says beside the error.
    """

    def __init__(self, message: str, result: Result | None = None) -> None:
        super().__init__(message)
        self.result: Result = result or {}


def finish(work: Callable[[], Result], json_file: Path | None, *, debug: bool) -> int:
    """Runs ``work``, writes the JSON, and gives the exit code; what goes wrong is told in one line on stderr.

    Args:
        work: gives the keys of the JSON.
        debug: show the trace of an error as well.
    """
    try:
        if json_file is not None:
            check_folder("--json, folder", json_file.absolute().parent)  # before the work, which may take hours
        with _interruptible():
            result = work()
        if json_file is not None:
            _write_json(json_file, result)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 (here every error becomes a line and a code)
        if debug:
            traceback.print_exception(error)
        return _fail(*_explained(error), json_file, error.result if isinstance(error, CheckFailed) else {})
    return 0


@contextmanager
def _interruptible() -> Iterator[None]:
    """Makes an interruption of every error that Ctrl-C brings about.

    A compiled module that is being imported turns the KeyboardInterrupt into an ImportError, which reads as if the
    module were not installed.
    """
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield
        return
    interrupted = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        interrupted.set()
        signal.default_int_handler(number, frame)

    handler = signal.signal(signal.SIGINT, note)
    try:
        yield
    except Exception as error:
        if interrupted.is_set():
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, handler)


def refuse(error: Exception, arguments: Sequence[str]) -> int:
    """Tells what Typer does not accept in ``arguments``, and gives the exit code."""
    message: str = error.format_message() if hasattr(error, "format_message") else str(error)
    message = message.replace("Value error, ", "")  # pydantic's, which has checked it
    context = getattr(error, "ctx", None)
    where = context.command_path if context else "yoloslim"
    return _fail(f"{message.rstrip('.')}; see {where} --help", EXIT_WRONG_INPUT, _json_option(arguments))


def _explained(error: BaseException) -> tuple[str, int]:
    match error:
        case CheckFailed():
            return str(error), EXIT_CHECK_FAILED
        case YoloslimError():
            return str(error), EXIT_WRONG_INPUT
        case KeyboardInterrupt():
            return "interrupted", EXIT_INTERRUPTED
        case OSError(filename=str() | Path(), strerror=str()):
            return f"{error.filename}: {error.strerror}", EXIT_WRONG_INPUT
        case _ if is_out_of_memory(error):
            return f"not enough memory ({error}); try a smaller --size or --batch", EXIT_WRONG_INPUT
    text = f"a bug in yoloslim, at {_place(error)}: {type(error).__name__}: {error}"
    return f"{text}; please report it with the trace that --debug shows", EXIT_BUG


def _place(error: BaseException) -> str:
    """Gives the last line of ours that the error went through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "yoloslim" in Path(frame.filename).parts] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"


def _fail(message: str, code: int, json_file: Path | None, result: Result | None = None) -> int:
    line = " ".join(message.split("\n"))
    typer.echo(f"error: {line}", err=True)
    if json_file is not None:
        with suppress(OutputError):  # the line above tells what went wrong first
            _write_json(json_file, {**(result or {}), "error": line})
    return code


def _json_option(arguments: Sequence[str]) -> Path | None:
    """Gives the file behind ``--json`` in arguments that Typer could not read."""
    following = [*arguments[1:], ""]
    for argument, value in zip(arguments, following, strict=True):
        if argument == "--json" and value and not value.startswith("-"):
            return Path(value)
        if argument.startswith("--json="):
            return Path(argument.removeprefix("--json="))
    return None


def _write_json(path: Path, result: Result) -> None:
    text = json.dumps({"schema": SCHEMA, **_plain(result)}, indent=1, allow_nan=False, ensure_ascii=False)
    with write_atomically(path) as temporary:
        # A file name that is no UTF-8 holds surrogates; Python's escape for them is JSON's as well.
        temporary.write_text(f"{text}\n", encoding="utf-8", errors="backslashreplace")


def _plain(value: Any) -> Any:
    """JSON has no NaN or infinity: they become null. It has no paths either."""
    match value:
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case Path():
            return str(value)
        case float() if not math.isfinite(value):
            return None
    return value
