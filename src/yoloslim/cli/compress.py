"""``yoloslim compress``: a recipe from training to a measured artefact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yoloslim.cli.options import Trust
from yoloslim.cli.outputs import check_folder
from yoloslim.cli.progress import changing_bar
from yoloslim.cli.session import Result, Session
from yoloslim.cli.training import training_hooks

if TYPE_CHECKING:
    from yoloslim.recipes.result_page import Stage
    from yoloslim.recipes.schema import Recipe


def compress(
    session: Session,
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A TOML recipe.")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key, as train.epochs=3; repeatable."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the run; a run that is there goes on.")
    ] = None,
    trust: Trust = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the recipe and print it; run nothing.")] = False,
) -> Result:
    """Train, prune, fine-tune, export and measure, as a recipe says."""
    import tomlkit

    from yoloslim.cli.detector import fetch_named
    from yoloslim.cli.inputs import network_of
    from yoloslim.recipes.compress import check_inputs
    from yoloslim.recipes.provenance import recipe_tables
    from yoloslim.recipes.read import read_recipe

    found = read_recipe(recipe, [*(changes or ()), *_shared(session)])
    if out:
        check_folder("--out", out)
        found = replace(found, out=str(out))
    taught = found.distill.teachers if found.distill else ()
    for name in (found.model.weights, *(teacher for teacher, _ in taught)):
        fetch_named(session, name, trust=trust)
    if dry_run:
        check_inputs(found, network_of(found.model))
        session.print(tomlkit.dumps(recipe_tables(found)))
        return {"recipe": asdict(found)}
    return run_recipe(session, found)


def _shared(session: Session) -> list[str]:
    """Gives --seed and --device, where they are set, as changes of the recipe."""
    seed = [f"seed={session.seed}"] if session.seed else []
    return seed + ([f"device={session.device}"] if session.device != "auto" else [])


def run_recipe(session: Session, recipe: Recipe) -> Result:
    """Runs a recipe with its progress shown, prints the table and gives the JSON."""
    from yoloslim.cli.inputs import network_of
    from yoloslim.recipes.compress import Watch, compress

    def told(name: str, found: bool) -> None:
        session.print(f"{name}: done before" if found else f"{name} ...")

    with changing_bar(session) as bar:
        watch = Watch(told, lambda name, settings: training_hooks(session, name, settings, bar))
        stages = compress(recipe, network_of(recipe.model), watch)
    show_stages(session, stages)
    folder = Path(stages[0].path).parent.parent
    session.print(f"summary     {folder / 'summary.json'}\nreport      {folder / 'report.html'}")
    return {"folder": str(folder), "stages": [asdict(stage) for stage in stages]}


def show_stages(session: Session, stages: Sequence[Stage]) -> None:
    """Prints a row a stage."""
    from yoloslim.cli.tables import table

    first = stages[0]
    rows = [
        (
            stage.name,
            f"{stage.params:,}",
            f"{100 * stage.params / first.params:.0f} %",
            f"{stage.macs / 1e6:,.0f}",
            f"{stage.bytes / 1e6:.2f}",
            f"{stage.map50:.4f}",
            f"{stage.latency_ms:.1f} {stage.backend}",
        )
        for stage in stages
    ]
    session.print(table(("stage", "parameters", "", "MMACs", "MB", "AP50", "ms a picture"), rows))
