"""The command line: one module a command; heavy imports happen inside the commands, so that --help is instant."""

from __future__ import annotations

from collections.abc import Callable

import typer

from yoloslim.cli.cfg import cfg
from yoloslim.cli.convert import convert
from yoloslim.cli.detect import detect
from yoloslim.cli.eval import evaluate
from yoloslim.cli.info import info
from yoloslim.cli.prune import prune
from yoloslim.cli.session import Result, command
from yoloslim.cli.zoo import zoo

app = typer.Typer(
    name="yoloslim",
    help="Make YOLO detectors described by Darknet cfg files small, exactly and with proof.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_COMMANDS: dict[str, Callable[..., Result]] = {
    "zoo": zoo,
    "cfg": cfg,
    "info": info,
    "eval": evaluate,
    "detect": detect,
    "prune": prune,
    "convert": convert,
}
for _name, _function in _COMMANDS.items():
    app.command(_name)(command(_function))


def main() -> None:
    """Runs the command line."""
    app()
