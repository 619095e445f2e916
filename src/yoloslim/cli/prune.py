"""``yoloslim prune``: channels removed, a plain cfg and weights written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from yoloslim.cli.options import (
    Batch,
    Cfg,
    DataFileOrEmpty,
    OutFolder,
    ResizeOption,
    SingleClass,
    Size,
    SplitOption,
    Trust,
    Weights,
    check_count,
    check_share,
)
from yoloslim.cli.outcome import CheckFailed
from yoloslim.cli.session import Result, Session
from yoloslim.errors import DataError, RecipeError

if TYPE_CHECKING:
    from torch import Tensor

    from yoloslim.compress.pruning.plan import PruningPlan
    from yoloslim.data.dataset import Dataset
    from yoloslim.graph.graph import Graph
    from yoloslim.runtime.load import Model

EXACT = 1e-10
"""Largest relative difference, in float64, between the masked and the shrunk network that counts as rounding."""


def prune(
    session: Session,
    weights: Weights,
    cfg: Cfg = "",
    trust: Trust = False,
    method: Annotated[str, typer.Option(metavar="NAME", help="Pruning method: normal.")] = "normal",
    percent: Annotated[
        float | None,
        typer.Option(metavar="SHARE", callback=check_share, help="Share of the removable lanes to remove, 0 to 1."),
    ] = None,
    round_to: Annotated[
        int,
        typer.Option(
            "--round", metavar="N", callback=check_count, help="Layers keep a multiple of this many channels."
        ),
    ] = 1,
    min_keep: Annotated[
        float,
        typer.Option(
            metavar="SHARE", callback=check_share, help="Share of each layer's channels that stays in any case."
        ),
    ] = 0.01,
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
    out: OutFolder = None,
) -> Result:
    """Remove channels; write a small cfg and weights.

    A checkpoint and the plan are written beside them.
    """
    from yoloslim.cli.detector import fitted, load_model
    from yoloslim.cli.eval import open_dataset
    from yoloslim.cli.outputs import output_folder
    from yoloslim.compress.pruning.methods import PruneSettings, plan_pruning
    from yoloslim.compress.pruning.plan import load_plan
    from yoloslim.recipes.prune import prune as prune_network
    from yoloslim.runtime.load import with_network

    _check_options(percent, plan, recalibrate, data)
    settings = PruneSettings(percent or 0.0, round_to, min_keep, normalize)
    folder = output_folder(out, "prune", f"{weights.stem}-pruned")
    dataset = open_dataset(session, data, split, single_class=single_class) if data else None
    training = open_dataset(session, data, "train", single_class=single_class) if recalibrate else None
    loaded = load_model(session, weights, cfg, trust=trust)
    chosen = load_plan(plan, loaded.graph) if plan else plan_pruning(loaded.network, method, settings)
    model = _named(fitted(loaded, size, resize), dataset)
    pictures = _pictures(training, recalibrate, model, batch) if training else []
    pruned = prune_network(model.network, chosen, folding=fold, batches=pictures)
    if not pruned.max_abs_diff <= EXACT:
        raise CheckFailed(f"shrunk and masked network differ by {pruned.max_abs_diff:.1e}; nothing was written")
    small = with_network(model, pruned.network)
    result = {
        "method": chosen.method,
        **_changes(model, small, chosen),
        "map50": _accuracy(session, (model, small), dataset, batch),
        "max_abs_diff": pruned.max_abs_diff,
        **_write(small, chosen, loaded.graph, folder, f"{weights.stem}-pruned"),
    }
    _show(session, result)
    return result


def _check_options(percent: float | None, plan: Path | None, recalibrate: int, data: str) -> None:
    if (percent is None) == (plan is None):
        found = "neither" if plan is None else "both"
        raise RecipeError(f"prune needs --percent SHARE (0 to 1) or --plan FILE, found {found}: give one of them")
    if recalibrate and not data:
        raise RecipeError("--recalibrate needs training pictures, found no --data: add --data FILE")


def _named(model: Model, dataset: Dataset | None) -> Model:
    """Gives the model with the class names of the data set, where it has none itself and they fit."""
    if dataset is None or model.names or len(dataset.names) != model.graph.classes:
        return model
    return replace(model, names=dataset.names)


def _accuracy(
    session: Session, models: tuple[Model, Model], dataset: Dataset | None, batch: int
) -> dict[str, float | None]:
    """Gives the AP50 of the models before and after on a data set, None without one."""
    from yoloslim.boxes.detect import DetectSettings
    from yoloslim.cli.detector import detector_of
    from yoloslim.cli.progress import progress_bar
    from yoloslim.cli.reports import tell_problems
    from yoloslim.recipes.evaluate import evaluate_on

    if dataset is None:
        return {"before": None, "after": None}
    settings = DetectSettings(conf=0.001, single_class=dataset.single_class)
    found: dict[str, float | None] = {}
    for when, model in zip(("before", "after"), models, strict=True):
        detector = detector_of(session, model, settings)
        with progress_bar(session, f"evaluating {when}", len(dataset)) as progress:
            result, problems = evaluate_on(detector, dataset, batch=batch, progress=progress)
        found[when] = result.map50
    tell_problems(problems)
    return found


def _pictures(dataset: Dataset, count: int, model: Model, batch: int) -> list[Tensor]:
    """Gives the first ``count`` pictures of a data set as batches.

    Raises:
        DataError: none of them can be read.
    """
    from yoloslim.recipes.pictures import picture_batches

    shape = model.graph.input_shape
    batches = list(picture_batches(dataset, count, shape, model.resize, batch))
    if not batches:
        raise DataError(f"--recalibrate {count}: none of {len(dataset)} training pictures can be read")
    return batches


def _changes(model: Model, small: Model, plan: PruningPlan) -> Result:
    from yoloslim.graph.cost import total_cost

    costs = total_cost(model.graph), total_cost(small.graph)
    changes = {key: {"before": getattr(costs[0], key), "after": getattr(costs[1], key)} for key in ("params", "macs")}
    return {**changes, "lanes": {"before": plan.keep.size, "after": int(plan.keep.sum())}}


def _write(small: Model, plan: PruningPlan, graph: Graph, folder: Path, stem: str) -> dict[str, str]:
    """Writes the small model, and the plan for ``graph``, the network as its cfg has it."""
    from yoloslim.compress.pruning.plan import save_plan
    from yoloslim.graph.lanes import trace_lanes
    from yoloslim.runtime.save import save_all

    cfg, weights, checkpoint = save_all(small, folder, stem)
    save_plan(plan, graph, trace_lanes(graph), folder)
    paths = {"cfg": cfg, "weights": weights, "checkpoint": checkpoint, "plan": folder / "plan.json"}
    return {key: str(path) for key, path in paths.items()}


def _show(session: Session, result: dict[str, Any]) -> None:
    from yoloslim.cli.reports import change, share

    for key, title in (("lanes", "lanes"), ("params", "parameters"), ("macs", "MACs")):
        session.print(f"{title:12}{change(**result[key])}")
    before, after = result["map50"].values()
    if before is not None:
        session.print(f"{'AP50':12}{share(before)} -> {share(after)}")
    session.print(f"{'proof':12}shrunk == masked to {result['max_abs_diff']:.1e} (float64, relative)")
    for key in ("cfg", "weights", "checkpoint", "plan"):
        session.print(f"{key:12}{result[key]}")
