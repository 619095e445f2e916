"""``yoloslim tune``: a search for good settings of a training."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from yoloslim.cli.options import OutFolder, Trust, check_count
from yoloslim.cli.outputs import check_folder
from yoloslim.cli.session import Result, Session
from yoloslim.cli.train import Changes


def tune(
    session: Session,
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A TOML recipe of a training, with [tune].")],
    trials: Annotated[
        int | None, typer.Option(metavar="N", callback=check_count, help="Trainings; default: the recipe's, or 30.")
    ] = None,
    storage: Annotated[
        str, typer.Option(metavar="FILE|URL", help="Where trials are kept; machines may share it.")
    ] = "",
    trust: Trust = False,
    changes: Changes = None,
    out: OutFolder = None,
) -> Result:
    """Search for the settings that train best.

    Started again, or on another machine with the same --storage, it goes on with the same search.
    """
    from yoloslim.cli.detector import fetch_named
    from yoloslim.cli.inputs import network_of
    from yoloslim.recipes.read import changed, read_tables
    from yoloslim.recipes.tune import make_search
    from yoloslim.recipes.tune import tune as run

    tables = changed(read_tables(recipe), changes or ())
    tables = {"name": recipe.stem, "seed": session.seed, "device": session.device, **tables}
    options = {key: value for key, value in (("trials", trials), ("storage", storage)) if value}
    search = make_search({**tables, "tune": {**tables.get("tune", {}), **options}}, str(recipe))
    folder = out or Path("runs/tune") / search.recipe({}).name
    check_folder("--out", folder)
    fetch_named(session, search.recipe({}).model.weights, trust=trust)
    metric = search.table.metric
    if not search.table.space:
        which = "no [tune.space]" if "tune" in tables else "no [tune]"
        text = f"{len(search.space)} settings (rates, loss weights, augmentation) are searched"
        session.print(f"{recipe}: {which}: {text} in {search.table.trials} trials")

    def told(number: int, state: str, value: float | None) -> None:
        figure = "" if value is None else f"  {metric} {value:.4f}"
        session.print(f"trial {number}  {state}{figure}")

    found = run(search, network_of(search.recipe({}).model), folder, told)
    session.print(f"best {metric}  {found.value:.4f} of {found.done} trials, {found.pruned} more stopped early")
    for key, value in found.best.items():
        session.print(f"  {key} = {value}")
    session.print(f"recipe      {folder / 'best.toml'}: yoloslim train --recipe {folder / 'best.toml'}")
    return {"folder": str(folder), **asdict(found)}
