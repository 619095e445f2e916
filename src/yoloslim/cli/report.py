"""``yoloslim report``: the page of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from yoloslim.cli.session import Result, Session


def report(
    session: Session,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run of train, prune or compress.")],
) -> Result:
    """Write the HTML page of a run that has none yet."""
    from yoloslim.recipes.run_report import write_report

    path = write_report(folder)
    session.print(f"report {path}")
    return {"path": str(path)}
