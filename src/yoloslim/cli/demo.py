"""``yoloslim demo``: the whole road on scenes of handwritten digits, with no download."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from yoloslim.cli.compress import run_recipe
from yoloslim.cli.session import Result, Session


def demo(
    session: Session,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the data set and the run.")] = Path("runs/demo"),
) -> Result:
    """Train a detector of digits and make it small, in a few minutes."""
    from yoloslim.recipes.demo import demo_recipe

    return run_recipe(session, demo_recipe(out, session.seed, session.device))
