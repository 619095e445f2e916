"""``yoloslim compress``: a recipe from training to a measured artefact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yoloslim.cli.options import Trust
from yoloslim.cli.outputs import check_folder
from yoloslim.cli.progress import changing_bar
from yoloslim.cli.session import Result, Session

if TYPE_CHECKING:
    from yoloslim.engine.settings import TrainSettings
    from yoloslim.engine.train import Hooks
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
    from yoloslim.cli.inputs import graph_of
    from yoloslim.recipes.compress import check_inputs
    from yoloslim.recipes.read import read_recipe

    found = read_recipe(recipe, [*(changes or ()), *_shared(session)])
    if out:
        check_folder("--out", out)
        found = replace(found, out=str(out))
    _fetch_weights(session, found, trust=trust)
    if dry_run:
        check_inputs(found, graph_of(found.model.cfg))
        session.print(_text(found))
        return {"recipe": asdict(found)}
    return run_recipe(session, found)


def _fetch_weights(session: Session, recipe: Recipe, *, trust: bool) -> None:
    """Fetches the published weights that a recipe starts from, so that its stages find them in the cache."""
    from yoloslim.cli.detector import fetched
    from yoloslim.weights.published import find_published

    published = find_published(recipe.model.weights) if recipe.model.weights else None
    if published is not None:
        fetched(session, published, trust=trust)


def _shared(session: Session) -> list[str]:
    """Gives --seed and --device, where they are set, as changes of the recipe."""
    seed = [f"seed={session.seed}"] if session.seed else []
    return seed + ([f"device={session.device}"] if session.device != "auto" else [])


def run_recipe(session: Session, recipe: Recipe) -> Result:
    """Runs a recipe with its progress shown, prints the table and gives the JSON."""
    from yoloslim.cli.inputs import graph_of
    from yoloslim.recipes.compress import Watch, compress

    def told(name: str, found: bool) -> None:
        session.print(f"{name}: done before" if found else f"{name} ...")

    with changing_bar(session) as bar:
        watch = Watch(told, lambda name, settings: _hooks(session, name, settings, bar))
        stages = compress(recipe, graph_of(recipe.model.cfg), watch)
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


def _hooks(session: Session, name: str, settings: TrainSettings, bar: Callable[[str, int, int], None]) -> Hooks:
    """A line an epoch, and a bar of the stage's batches."""
    from yoloslim.engine.train import Hooks

    def on_batch(epoch: int, done: int, count: int) -> None:
        bar(name, epoch * count + done, settings.epochs * count)

    return Hooks(on_row=_row_printer(session, name, settings.epochs), on_batch=on_batch)


def _row_printer(session: Session, name: str, epochs: int) -> Callable[[dict[str, float]], None]:
    def show(row: dict[str, float]) -> None:
        left = row["seconds"] * (epochs - row["epoch"])
        accuracy = f"  AP50 {row['map50']:.4f}" if "map50" in row else ""
        small = f"  small gammas {100 * row['small_gammas']:.0f} %" if "small_gammas" in row else ""
        text = f"  {name} {row['epoch']:.0f}/{epochs}  loss {row['loss']:.3f}{accuracy}{small}"
        session.print(f"{text}  {row['seconds']:.0f} s, {left / 60:.0f} min left")

    return show


def _text(recipe: Recipe) -> str:
    lines = []
    for key, value in asdict(recipe).items():
        if isinstance(value, dict):
            lines += [f"[{key}]", *(f"{name} = {item!r}" for name, item in value.items()), ""]
        else:
            lines.append(f"{key} = {value!r}")
    return "\n".join(lines)
