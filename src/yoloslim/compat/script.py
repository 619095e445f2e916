"""A script of the originals: flags in, equivalent ``yoloslim`` commands printed and run, files put where theirs lie."""

from __future__ import annotations

import json
import shlex
import shutil
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from yoloslim.cli import main as run_command
from yoloslim.cli.outcome import EXIT_WRONG_INPUT
from yoloslim.compat.flags import FlagParser
from yoloslim.errors import OutputError, YoloslimError
from yoloslim.files import write_atomically

Report = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Translation:
    """What a command line of the originals means here.

    Attributes:
        commands: arguments of ``yoloslim``, one command after the other.
        notes: what the user should know of it, a sentence each.
    """

    commands: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def nothing_more(given: Namespace, reports: Sequence[Report]) -> Iterable[str]:
    """Gives no lines and writes no files: all is done when the commands are."""
    return ()


@dataclass(frozen=True, slots=True)
class Script:
    """One script.

    Attributes:
        flags: what it takes.
        prepare: gives the flags with what depends on the disk and the machine settled, and notes on that.
        translate: gives what the flags mean; depends on nothing else.
        finish: puts results where theirs lie, from the JSON of each command, and gives the lines to print.
    """

    flags: FlagParser
    prepare: Callable[[Namespace], tuple[Namespace, tuple[str, ...]]]
    translate: Callable[[Namespace], Translation]
    finish: Callable[[Namespace, Sequence[Report]], Iterable[str]] = nothing_more

    def run(self, module: str) -> None:
        """Runs the script and exits, where its file is what was started; not where it is imported.

        Args:
            module: ``__name__`` of the file. Processes that load pictures may import it again.
        """
        if module == "__main__":
            raise SystemExit(self.main())

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """Runs the script and gives its exit code, that of the first command that fails; 2 for wrong input.

        Args:
            arguments: what stands behind the script; those of the process when None.
        """
        try:
            return self._run(arguments)
        except YoloslimError as error:
            typer.echo(f"error: {error}", err=True)
        except OSError as error:
            typer.echo(f"error: {error.filename}: {error.strerror}", err=True)
        return EXIT_WRONG_INPUT

    def _run(self, arguments: Sequence[str] | None) -> int:
        given, found = self.prepare(self.flags.read(arguments))
        meant = self.translate(given)
        for note in (*found, *meant.notes):
            typer.echo(f"note: {note}")
        reports = []
        for command in meant.commands:
            typer.echo(shlex.join(["yoloslim", *command]))
            code, report = _reported(command)
            if code:
                return code
            reports.append(report)
        for line in self.finish(given, reports):
            typer.echo(line)
        return 0


def place(source: str | Path, target: Path) -> str:
    """Copies a result to where theirs lies, and gives the line that says so.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        with write_atomically(target) as temporary:
            shutil.copyfile(source, temporary)
    except OSError as error:
        raise OutputError(f"{target}: cannot write this file: {error.strerror or error}") from error
    return f"wrote {target}"


def _reported(command: Sequence[str]) -> tuple[int, Report]:
    """The exit code of a command, and its JSON where it succeeds."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.json"
        code = run_command([*command, "--json", str(file)])
        return code, {} if code else json.loads(file.read_text(encoding="utf-8"))
