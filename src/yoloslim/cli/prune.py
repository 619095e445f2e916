"""``yoloslim prune``: channels, residual blocks and classes removed, a plain cfg and weights written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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
from yoloslim.cli.session import Result, Session
from yoloslim.errors import RecipeError

if TYPE_CHECKING:
    from yoloslim.recipes.schema import PruneTable

Score = Literal["gamma", "l1", "l2", "fpgm", "taylor", "random"]


def prune(
    session: Session,
    weights: Weights,
    cfg: Cfg = "",
    trust: Trust = False,
    method: Annotated[
        str,
        typer.Option(metavar="NAME", help="normal, regular, shortcut, slim, layer, layer_channel or eagleeye."),
    ] = "normal",
    percent: Annotated[
        float | None,
        typer.Option(metavar="SHARE", callback=check_share, help="Share of the removable lanes to remove, 0 to 1."),
    ] = None,
    target: Annotated[
        str,
        typer.Option(metavar="KIND=N", help="params=0.2, macs=0.5, latency_ms=15@onnxruntime or map_drop=0.01."),
    ] = "",
    sweep: Annotated[bool, typer.Option("--sweep", help="Look at many percents and write their plans only.")] = False,
    plan: Annotated[Path | None, typer.Option(metavar="FILE", help="Apply this plan.json instead.")] = None,
    classes: Annotated[str, typer.Option(metavar="keep=ID,ID", help="Drop all other classes from the heads.")] = "",
    blocks: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Residual blocks to drop; default: a quarter.")
    ] = None,
    score: Annotated[Score | None, typer.Option(help="Score of a channel; default: the method's.")] = None,
    reduction: Annotated[
        Literal["max", "min", "mean", "first"] | None,
        typer.Option(help="From a lane's writers to the lane; default: the method's."),
    ] = None,
    over: Annotated[
        Literal["lanes", "writers", "layer", "random"] | None,
        typer.Option(help="What the percent is taken of; default: the method's."),
    ] = None,
    freeze: Annotated[
        list[str] | None,
        typer.Option(metavar="RULE", help="Lanes that stay: shortcut, upsample, spp ..., none; repeatable."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse a percent that leaves a layer less than its floor.")
    ] = False,
    only: Annotated[str, typer.Option(metavar="PATTERN", help="Only layers whose names match, as 00*_conv*.")] = "*",
    round_to: Annotated[
        int | None,
        typer.Option(
            "--round", metavar="N", callback=check_count, help="Layers keep a multiple of this many channels."
        ),
    ] = None,
    min_keep: Annotated[
        float,
        typer.Option(
            metavar="SHARE", callback=check_share, help="Share of each layer's channels that stays in any case."
        ),
    ] = 0.01,
    normalize: Annotated[Literal["none", "layer"], typer.Option(help="Compare scores raw or within layers.")] = "none",
    fold: Annotated[bool, typer.Option(help="Add what removed channels gave on average to their readers.")] = True,
    data: DataFileOrEmpty = "",
    recalibrate: Annotated[
        int, typer.Option(min=0, metavar="N", help="Measure batch-norm anew on N training pictures.")
    ] = 0,
    pictures: Annotated[
        int, typer.Option(metavar="N", callback=check_count, help="Pictures that plans are compared on.")
    ] = 128,
    candidates: Annotated[
        int, typer.Option(metavar="N", callback=check_count, help="Plans that eagleeye compares.")
    ] = 20,
    measure: Annotated[
        list[str] | None,
        typer.Option(metavar="BACKEND", help="Measure latency by torch, onnxruntime or openvino; repeatable."),
    ] = None,
    split: SplitOption = "val",
    size: Size = "",
    resize: ResizeOption = None,
    batch: Batch = 8,
    single_class: SingleClass = False,
    out: OutFolder = None,
) -> Result:
    """Remove channels, blocks, classes; write a small cfg and weights.

    A checkpoint and the plan are written beside them.
    """
    from yoloslim.cli.outputs import output_folder
    from yoloslim.cli.pruning import Inputs, finish_pruning, open_job
    from yoloslim.cli.sweep import run_sweep
    from yoloslim.compress.pruning.held import check_floors
    from yoloslim.recipes.latency import check_backend
    from yoloslim.recipes.prune import check_table, ranking_of
    from yoloslim.recipes.schema import PruneTable

    table = PruneTable(
        method=method,
        percent=percent,
        target=target,
        blocks=blocks,
        score=score,
        reduction=reduction,
        over=over,
        freeze=None if freeze is None else tuple(rule for rule in freeze if rule != "none"),
        round=round_to,
        only=only,
        min_keep=min_keep,
        normalize=normalize,
        fold=fold,
        recalibrate=recalibrate,
        pictures=pictures,
        candidates=candidates,
    )
    if strict and percent is None:
        raise RecipeError("--strict is for --percent, found none: leave it out, or add --percent")
    table = _checked(table, plan, classes, sweep=sweep, has_data=bool(data))
    check_table(table)
    for backend in measure or ():
        check_backend(backend)
    folder = output_folder(out, "prune", f"{weights.stem}-{'sweep' if sweep else 'pruned'}")
    inputs = Inputs(weights, cfg, trust, data, split, classes, size, resize, batch, single_class)
    job = open_job(session, inputs, table)
    if strict:
        check_floors(ranking_of(job.model.network, table, seed=session.seed, evidence=job.evidence), percent or 0.0)
    if sweep:
        return run_sweep(session, job, table, tuple(measure or ["torch"]), folder)
    return finish_pruning(session, job, table, plan, tuple(measure or []), folder)


def _checked(table: PruneTable, plan: Path | None, classes: str, *, sweep: bool, has_data: bool) -> PruneTable:
    """Gives the table, its percent 0 where something else says what goes.

    Raises:
        RecipeError: nothing, or more than one thing, says what goes.
    """
    asked = {"--percent": table.percent is not None, "--target": table.target, "--plan": plan, "--sweep": sweep}
    given = [option for option, value in asked.items() if value]
    if len(given) > 1:
        raise RecipeError(f"prune takes one of {', '.join(asked)}, found {' and '.join(given)}: leave the others out")
    if not given and not classes and table.method != "layer":
        ways = "--percent SHARE (0 to 1), --target KIND=NUMBER, --plan FILE, --sweep or --classes keep=ID,..."
        raise RecipeError(f"prune needs {ways}; found none of them: give one")
    if (table.recalibrate or sweep) and not has_data:
        option = "--sweep" if sweep else "--recalibrate"
        raise RecipeError(f"{option} needs pictures, found no --data: add --data FILE")
    is_open = table.percent is None and not table.target and table.method != "layer"
    return replace(table, percent=0.0) if is_open else table
