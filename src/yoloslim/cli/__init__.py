"""The command line: one module a command; heavy imports happen inside the commands, so that --help is instant."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from yoloslim import __version__
from yoloslim.cli.anchors import anchors
from yoloslim.cli.bench import bench
from yoloslim.cli.cfg import cfg
from yoloslim.cli.check import check
from yoloslim.cli.compare import compare
from yoloslim.cli.compress import compress
from yoloslim.cli.convert import convert
from yoloslim.cli.data.check import check as check_data
from yoloslim.cli.data.convert import convert as convert_data
from yoloslim.cli.data.fetch import fetch
from yoloslim.cli.data.list import list_sets
from yoloslim.cli.data.stats import stats
from yoloslim.cli.demo import demo
from yoloslim.cli.detect import detect
from yoloslim.cli.doctor import doctor
from yoloslim.cli.eval import evaluate
from yoloslim.cli.export import export
from yoloslim.cli.info import info
from yoloslim.cli.outcome import EXIT_INTERRUPTED, USAGE_ERROR, refuse
from yoloslim.cli.plan import diff
from yoloslim.cli.prune import prune
from yoloslim.cli.report import report
from yoloslim.cli.session import Result, command
from yoloslim.cli.train import train
from yoloslim.cli.tune import tune
from yoloslim.cli.why import why
from yoloslim.cli.zoo import zoo

app = typer.Typer(
    name="yoloslim",
    epilog="Exit codes: 0 done, 1 a check failed, 2 wrong input, 70 a bug in yoloslim, 130 interrupted.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # its boxes are slow to load and leave half of 80 columns for words
    context_settings={"help_option_names": ["-h", "--help"]},
)

_COMMANDS: dict[str, Callable[..., Result]] = {
    "demo": demo,
    "train": train,
    "tune": tune,
    "compress": compress,
    "zoo": zoo,
    "cfg": cfg,
    "info": info,
    "check": check,
    "why": why,
    "anchors": anchors,
    "eval": evaluate,
    "detect": detect,
    "compare": compare,
    "prune": prune,
    "export": export,
    "bench": bench,
    "report": report,
    "convert": convert,
    "doctor": doctor,
}
for _name, _function in _COMMANDS.items():
    app.command(_name)(command(_function))

_DATA_COMMANDS: dict[str, Callable[..., Result]] = {
    "list": list_sets,
    "fetch": fetch,
    "convert": convert_data,
    "check": check_data,
    "stats": stats,
}
data = typer.Typer(help="List, fetch, convert and check data sets.", rich_markup_mode=None, no_args_is_help=True)
for _name, _function in _DATA_COMMANDS.items():
    data.command(_name)(command(_function))
app.add_typer(data, name="data")

_PLAN_COMMANDS: dict[str, Callable[..., Result]] = {
    "diff": diff,
}
plan = typer.Typer(help="Compare pruning plans.", rich_markup_mode=None, no_args_is_help=True)
for _name, _function in _PLAN_COMMANDS.items():
    plan.command(_name)(command(_function))
app.add_typer(plan, name="plan")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and gives its exit code.

    Args:
        arguments: what stands behind ``yoloslim``; those of the process when None.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given in ([], ["data"], ["plan"]):
        given = [*given, "--help"]
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a path or class name that the terminal cannot show
    try:
        return app(given, prog_name="yoloslim", standalone_mode=False) or 0
    except USAGE_ERROR as error:
        return refuse(error, given)
    except typer.Abort:  # Ctrl-C before the command has begun
        typer.echo("error: interrupted", err=True)
        return EXIT_INTERRUPTED


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"yoloslim {__version__}")
        raise typer.Exit


@app.callback(help="Make YOLO detectors described by Darknet cfg files small, exactly and with proof.")
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass
