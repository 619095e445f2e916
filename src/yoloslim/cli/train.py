"""``yoloslim train``: a network learns from labelled pictures."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from yoloslim.cli.options import (
    Cfg,
    OutFolder,
    Resize,
    SingleClass,
    Size,
    TargetName,
    Trust,
    WeightsOrNone,
    check_count,
)
from yoloslim.cli.outputs import output_folder
from yoloslim.cli.progress import changing_bar
from yoloslim.cli.session import Result, Session
from yoloslim.cli.training import training_hooks

if TYPE_CHECKING:
    from yoloslim.engine.task import Trained
    from yoloslim.recipes.schema import TrainRecipe


Changes = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set any key, as train.ema=0.99; repeatable.")
]


def train(
    session: Session,
    cfg: Cfg = "",
    data: Annotated[
        list[str] | None, typer.Option("--data", metavar="FILE", help="A .data or YAML data file; repeatable.")
    ] = None,
    weights: WeightsOrNone = None,
    trust: Trust = False,
    epochs: Annotated[
        int | None, typer.Option(metavar="N", callback=check_count, help="Passes over the pictures; default: 100.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(metavar="N", callback=check_count, help="Pictures in a batch; default: 16.")
    ] = None,
    size: Size = "",
    resize: Annotated[
        Resize | None,
        typer.Option("--resize", help="How pictures are fitted; default: as a checkpoint has it, else letterbox."),
    ] = None,
    single_class: SingleClass = False,
    sparsity: Annotated[
        str, typer.Option(metavar="S", help="Train sparse: strength of the penalty, as 0.001, or auto.")
    ] = "",
    penalty: Annotated[
        Literal["normal", "shortcut", "layer"] | None, typer.Option(help="Which channels the penalty shrinks.")
    ] = None,
    schedule: Annotated[
        Literal["constant", "decay", "per-layer", "fade"] | None,
        typer.Option("--penalty-schedule", help="How the penalty acts over layers and time."),
    ] = None,
    teacher_cfg: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE|NAME", help="The teacher's network, where its weights bring none."),
    ] = None,
    teacher_weights: Annotated[
        list[str] | None, typer.Option(metavar="FILE|NAME", help="Learn from this network too; repeatable.")
    ] = None,
    distill: Annotated[
        str, typer.Option(metavar="METHOD", help="What is learnt from it: kd1 to kd5, auto and others; default: auto.")
    ] = "",
    distill_scale: Annotated[
        Literal["mean", "originals"] | None, typer.Option(help="Means, or the originals' sums and weights.")
    ] = None,
    quantize: Annotated[
        Literal["google", "dorefa", "lsq"] | None, typer.Option(help="Train with rounding to integers, by this scheme.")
    ] = None,
    target: Annotated[TargetName | None, typer.Option("--for", help="What the integers are to run on.")] = None,
    weight_bits: Annotated[int | None, typer.Option(metavar="N", help="Bits of a weight, 2 to 8.")] = None,
    activation_bits: Annotated[
        int | None, typer.Option("--activation-bits", metavar="N", help="Bits of a value between layers, 2 to 8.")
    ] = None,
    power_of_two: Annotated[bool, typer.Option("--power-of-two", help="Scales that are powers of two.")] = False,
    rounding: Annotated[
        Literal["half_even", "half_away"] | None, typer.Option(help="Of halves; default: the target's way.")
    ] = None,
    ends_at_8: Annotated[bool, typer.Option("--ends-at-8", help="First and last layers have 8 bits.")] = False,
    fold_bn: Annotated[
        bool | None,
        typer.Option("--fold-bn/--no-fold-bn", help="Fold batch-norm as it learns, or for good before; default: fold."),
    ] = None,
    save_every: Annotated[
        int | None, typer.Option(metavar="N", callback=check_count, help="Save the state every N steps too.")
    ] = None,
    sync_bn: Annotated[bool, typer.Option("--sync-bn", help="Batch statistics over all GPUs.")] = False,
    base: Annotated[
        Path | None, typer.Option("--recipe", metavar="FILE", help="Take what is not given from this TOML recipe.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(metavar="RUN", help="Go on with the training in this folder.")] = None,
    changes: Changes = None,
    out: OutFolder = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and print the recipe.")] = False,
) -> Result:
    """Train a network from a cfg: dense, sparse, or taught.

    torchrun starts it on several GPUs or machines; then --out is needed.
    """
    from yoloslim.cli.detector import fetch_named
    from yoloslim.recipes.read import changed, merged, parse_train_recipe, read_tables
    from yoloslim.recipes.train import RECIPE

    cfg = cfg or _published_network(weights)
    sparse = {"strength": _strength(sparsity), "penalty": penalty, "schedule": schedule}
    tables: dict[str, Any] = {
        "model": {"cfg": cfg, "weights": None if weights is None else str(weights)},
        "data": {"data": data or None, "size": _size(size), "resize": resize, "single_class": single_class or None},
        "train": {"epochs": epochs, "batch": batch, "save_every": save_every, "sync_batch_norm": sync_bn or None},
        "sparsity": sparse,
        "distill": {
            "teacher_cfg": teacher_cfg or None,
            "teacher_weights": teacher_weights or None,
            "method": distill,
            "scale": distill_scale,
        },
        "quantize": _quantization(
            quantize,
            {
                "for": target,
                "weight_bits": weight_bits,
                "activation_bits": activation_bits,
                "power_of_two": power_of_two or None,
                "rounding": rounding,
                "ends_at_8": ends_at_8 or None,
                "fold_bn": fold_bn,
            },
        ),
    }
    given = _given(tables)
    if resume is not None:
        is_changed = bool(given or changes or out or base or session.seed or session.device != "auto")
        _check_resumable(resume, is_changed)
        folder = resume
        recipe = parse_train_recipe(read_tables(resume / RECIPE), str(resume / RECIPE))
    else:
        tables = changed(merged(_base(session, base, given), given), changes or ())
        recipe = parse_train_recipe(tables, "train" if base is None else str(base))
        folder = _folder(out, recipe.name)
    taught = recipe.distill.teachers if recipe.distill else ()
    for name in (recipe.model.weights, *(teacher for teacher, _ in taught)):
        fetch_named(session, name, trust=trust)
    if dry_run:
        return _checked(session, recipe, folder)
    return _run(session, recipe, folder)


def _run(session: Session, recipe: TrainRecipe, folder: Path) -> Result:
    from yoloslim.cli.inputs import network_of
    from yoloslim.engine.processes import started_processes
    from yoloslim.recipes.train import run_training, starting_point

    model, material = starting_point(recipe, network_of(recipe.model))
    heard = session.logged(folder / "log.txt") if started_processes().rank == 0 else nullcontext(session.silent())
    with heard as session, changing_bar(session) as bar:
        hooks = training_hooks(session, "train", recipe.train, bar)
        trained = run_training(recipe, model, material, folder, hooks)
        return _told(session, trained, folder)


def _told(session: Session, trained: Trained, folder: Path) -> Result:
    best = max((row["map50"] for row in trained.rows if "map50" in row), default=None)
    checkpoint = folder / ("last.safetensors" if best is None else "best.safetensors")
    if best is not None:
        session.print(f"best AP50   {best:.4f} of the validation pictures")
    session.print(f"checkpoint  {checkpoint}\nresults     {folder / 'results.csv'}, {folder / 'plots'}")
    return {"run": str(folder), "epochs": len(trained.rows), "best_map50": best, "checkpoint": str(checkpoint)}


def _checked(session: Session, recipe: TrainRecipe, folder: Path) -> Result:
    """Everything that can be wrong before work begins, and the recipe as TOML."""
    import tomlkit

    from yoloslim.cli.inputs import network_of
    from yoloslim.recipes.provenance import recipe_tables
    from yoloslim.recipes.train import rehearsed, starting_point

    model, material = starting_point(recipe, network_of(recipe.model))
    recipe = rehearsed(recipe, model, material, folder)
    session.print(tomlkit.dumps(recipe_tables(recipe)))
    return {"recipe": asdict(recipe)}


def _given(tables: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The tables with what the user gave; options that were left out leave the defaults of the recipe."""
    kept = {name: {k: v for k, v in table.items() if v not in (None, "")} for name, table in tables.items()}
    return {name: table for name, table in kept.items() if table}


def _base(session: Session, base: Path | None, given: dict[str, Any]) -> dict[str, Any]:
    """What the given options are laid over: the tables of a recipe, else the defaults of this command."""
    from yoloslim.errors import RecipeError
    from yoloslim.recipes.read import merged, read_tables

    shared = {"seed": session.seed, "device": session.device, "train": {"epochs": 100}}
    if base is not None:
        return merged({"name": base.stem, **shared}, read_tables(base))
    model, data = given.get("model", {}), given.get("data", {})
    if not model or not data.get("data"):
        raise RecipeError("train needs --cfg and --data, or --recipe FILE, or --resume RUN to go on")
    name = Path(model.get("cfg") or model["weights"]).stem
    return {"name": f"{name}-{Path(data['data'][0]).stem}".replace(" ", "_"), **shared}


def _quantization(scheme: str | None, options: dict[str, Any]) -> dict[str, Any]:
    """The table of a training with rounding; empty for one in float.

    Raises:
        RecipeError: only a training with rounding has these options.
    """
    from yoloslim.errors import RecipeError

    given = [key for key, value in options.items() if value is not None]
    if scheme is None and given:
        raise RecipeError(f"--{given[0].replace('_', '-')} is for a training with rounding: add --quantize google")
    return {"scheme": scheme, **options} if scheme else {}


def _strength(text: str) -> float | str | None:
    from yoloslim.errors import RecipeError

    if text in ("", "auto"):
        return text or None
    try:
        return float(text)
    except ValueError as error:
        raise RecipeError(f"--sparsity {text}: expected a number such as 0.001, or auto") from error


def _size(text: str) -> int | list[int] | None:
    from yoloslim.cli.inputs import parse_size

    size = parse_size(text)
    return None if size is None else list(size)


def _published_network(weights: Path | None) -> str:
    """The network that published weights bring with their name; empty for others."""
    from yoloslim.weights.published import find_published

    published = None if weights is None else find_published(weights)
    return published.network if published else ""


def _folder(out: Path | None, name: str) -> Path:
    from yoloslim.engine.processes import started_processes
    from yoloslim.errors import RecipeError

    if out is None and started_processes().count > 1:
        raise RecipeError("several processes need --out DIR, so that all of them work in one folder")
    return output_folder(out, "train", name)


def _check_resumable(run: Path, is_changed: bool) -> None:
    from yoloslim.errors import RecipeError

    if is_changed:
        raise RecipeError("--resume goes on with the recipe of its run; leave the other options out")
    if not (run / "state.safetensors").is_file():
        raise RecipeError(f"--resume {run}: expected the folder of a training with its state.safetensors, found none")
