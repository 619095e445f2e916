"""``yoloslim prune``: channels removed, a plain cfg and weights written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from yoloslim.cli.options import (
    Batch,
    CfgOrEmpty,
    DataFileOrEmpty,
    ResizeOption,
    SingleClass,
    Size,
    SplitOption,
    Weights,
)
from yoloslim.cli.session import CheckFailed, Result, Session
from yoloslim.errors import RecipeError

if TYPE_CHECKING:
    from torch import Tensor

    from yoloslim.compress.pruning.plan import PruningPlan
    from yoloslim.data.dataset import Dataset
    from yoloslim.runtime.load import Model

EXACT = 1e-10
"""Largest relative difference, in float64, between the masked and the shrunk network that counts as rounding."""


def prune(
    session: Session,
    weights: Weights,
    cfg: CfgOrEmpty = "",
    method: Annotated[str, typer.Option(help="Pruning method: normal.")] = "normal",
    percent: Annotated[float | None, typer.Option(help="Share of the removable lanes to remove, 0 to 1.")] = None,
    round_to: Annotated[int, typer.Option("--round", help="Layers keep a multiple of this many channels.")] = 1,
    min_keep: Annotated[float, typer.Option(help="Share of each layer's channels that stays in any case.")] = 0.01,
    normalize: Annotated[Literal["none", "layer"], typer.Option(help="Compare gammas raw or within layers.")] = "none",
    plan: Annotated[Path | None, typer.Option(metavar="FILE", help="Apply this plan.json instead.")] = None,
    fold: Annotated[bool, typer.Option(help="Add what removed channels gave on average to their readers.")] = True,
    data: DataFileOrEmpty = "",
    recalibrate: Annotated[
        int, typer.Option(min=0, metavar="N", help="Measure batch-norm anew on N training pictures.")
    ] = 0,
    split: SplitOption = "val",
    size: Size = "",
    resize: ResizeOption = None,
    batch: Batch = 8,
    single_class: SingleClass = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder to write; default: a new one in runs.")
    ] = None,
) -> Result:
    """Remove channels and write a compact .cfg and .weights, a checkpoint and the plan."""
    from yoloslim.cli.detector import load_model
    from yoloslim.cli.eval import open_dataset
    from yoloslim.compress.pruning.methods import PruneSettings, plan_pruning
    from yoloslim.compress.pruning.plan import load_plan
    from yoloslim.recipes.prune import prune as prune_network
    from yoloslim.runtime.load import with_network

    _check_options(percent, plan, recalibrate, data)
    settings = PruneSettings(percent or 0.0, round_to, min_keep, normalize)
    dataset = open_dataset(session, data, split, single_class=single_class) if data else None
    training = open_dataset(session, data, "train", single_class=single_class) if recalibrate else None
    model = load_model(weights, cfg, size, resize)
    chosen = load_plan(plan, model.graph) if plan else plan_pruning(model.network, method, settings)
    before = _accuracy(session, model, dataset, batch)
    pictures = _pictures(training, recalibrate, model, batch) if training else ()
    pruned = prune_network(model.network, chosen, folding=fold, batches=pictures)
    if not pruned.max_abs_diff <= EXACT:
        raise CheckFailed(f"shrunk and masked network differ by {pruned.max_abs_diff:.1e}; nothing was written")
    small = with_network(model, pruned.network)
    after = _accuracy(session, small, dataset, batch)
    result = {
        "method": chosen.method,
        **_changes(model, small),
        "map50": {"before": before, "after": after},
        "max_abs_diff": pruned.max_abs_diff,
        **_write(model, small, chosen, out, f"{weights.stem}-pruned"),
    }
    _show(session, result)
    return result


def _check_options(percent: float | None, plan: Path | None, recalibrate: int, data: str) -> None:
    if (percent is None) == (plan is None):
        raise RecipeError("prune needs one of --percent P (a share from 0 to 1) and --plan FILE")
    if recalibrate and not data:
        raise RecipeError("--recalibrate needs --data, for its training pictures")


def _accuracy(session: Session, model: Model, dataset: Dataset | None, batch: int) -> float | None:
    """Gives the AP50 of a model on a data set, None without one."""
    from yoloslim.boxes.detect import DetectSettings
    from yoloslim.cli.detector import detector_of
    from yoloslim.cli.progress import progress_bar
    from yoloslim.cli.reports import tell_problems
    from yoloslim.recipes.evaluate import evaluate_on

    if dataset is None:
        return None
    detector = detector_of(session, model, DetectSettings(conf=0.001))
    with progress_bar(session, "evaluating", len(dataset)) as progress:
        result, problems = evaluate_on(detector, dataset, batch=batch, progress=progress)
    tell_problems(problems)
    return result.map50


def _pictures(dataset: Dataset, count: int, model: Model, batch: int) -> Iterator[Tensor]:
    from yoloslim.recipes.pictures import picture_batches

    shape = model.graph.input_shape
    return picture_batches(dataset, count, (shape.width, shape.height), model.resize, batch)


def _changes(model: Model, small: Model) -> Result:
    from yoloslim.graph.cost import total_cost

    costs = total_cost(model.graph), total_cost(small.graph)
    return {key: {"before": getattr(costs[0], key), "after": getattr(costs[1], key)} for key in ("params", "macs")}


def _write(model: Model, small: Model, plan: PruningPlan, out: Path | None, stem: str) -> dict[str, str]:
    from yoloslim.compress.pruning.plan import save_plan
    from yoloslim.files import next_folder
    from yoloslim.graph.lanes import trace_lanes
    from yoloslim.runtime.save import save_all

    folder = out or next_folder(Path("runs/prune"), stem)
    cfg, weights, checkpoint = save_all(small, folder, stem)
    save_plan(plan, model.graph, trace_lanes(model.graph), folder)
    paths = {"cfg": cfg, "weights": weights, "checkpoint": checkpoint, "plan": folder / "plan.json"}
    return {key: str(path) for key, path in paths.items()}


def _show(session: Session, result: dict[str, Any]) -> None:
    from yoloslim.cli.reports import change, percent

    for key, title in (("params", "parameters"), ("macs", "MACs")):
        session.print(f"{title:12}{change(**result[key])}")
    if result["map50"]["before"] is not None:
        session.print(f"{'AP50':12}{percent(result['map50']['before'])} -> {percent(result['map50']['after'])}")
    session.print(f"shrunk == masked to {result['max_abs_diff']:.1e} (float64, relative)")
    for key in ("cfg", "weights", "checkpoint", "plan"):
        session.print(f"{key:12}{result[key]}")
