"""``prune --sweep``: what every percent would give, and the plans to choose from."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yoloslim.cli.session import Result, Session
from yoloslim.errors import RecipeError

if TYPE_CHECKING:
    from yoloslim.cli.pruning import Job
    from yoloslim.compress.pruning.plan import PruningPlan
    from yoloslim.nn.network import Network
    from yoloslim.recipes.schema import PruneTable
    from yoloslim.recipes.sweep import Point, Sweep


def run_sweep(session: Session, job: Job, table: PruneTable, backends: Sequence[str], folder: Path) -> Result:
    """Looks at many percents, then writes their plans, figures and a plot; gives the keys of the JSON.

    Raises:
        RecipeError: the method takes no percent, or chooses by itself.
    """
    from yoloslim.cli.progress import progress_bar
    from yoloslim.cli.pruning import training_batches
    from yoloslim.recipes.prune import composed, prune, ranking_of
    from yoloslim.recipes.sweep import COARSE, sweep

    method = composed(table)
    if "everything" in method.frozen or method.over == "random":
        raise RecipeError(f"--sweep varies the percent, which method {table.method} does not take: choose another")
    assert job.evidence is not None
    network = job.model.network
    ranking = ranking_of(network, table, seed=session.seed, evidence=job.evidence)
    pictures = training_batches(job, table.recalibrate)

    def pruned(plan: PruningPlan) -> Network:
        return prune(network, plan, folding=table.fold, batches=pictures).network

    with progress_bar(session, "sweeping", len(COARSE) + 4) as progress:
        found = sweep(ranking, pruned, job.evidence.accuracy, _clocks(backends), progress)
    records = [_record(point, backends, folder) for point in found.points]
    _write(found, job, records, folder)
    _show(session, job, table, found, backends, folder)
    low, high = found.cliff
    return {
        "method": table.method,
        "points": records,
        "knee": found.knee.percent if found.knee else None,
        "cliff": [low.percent, high.percent],
        "plot": folder / "sweep.png",
    }


def _clocks(backends: Sequence[str]) -> list[Callable[[Network], float]]:
    from yoloslim.recipes.latency import network_ms

    return [partial(network_ms, backend=backend) for backend in backends]


def _record(point: Point, backends: Sequence[str], folder: Path) -> dict[str, Any]:
    return {
        "percent": point.percent,
        "map50": point.map50,
        "params": point.params,
        "macs": point.macs,
        "latency_ms": dict(zip(backends, point.latency_ms, strict=True)),
        "plan": str(_plan_folder(point, folder) / "plan.json"),
    }


def _plan_folder(point: Point, folder: Path) -> Path:
    return folder / f"percent-{point.percent:.2f}"


def _write(found: Sweep, job: Job, records: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Writes the plan of every point, ``sweep.json`` and ``sweep.png``."""
    from yoloslim.compress.pruning.plan import save_plan
    from yoloslim.files import write_atomically
    from yoloslim.graph.lanes import trace_lanes
    from yoloslim.report.sweep_plot import plot_sweep

    lanes = trace_lanes(job.graph)
    for point in found.points:
        save_plan(point.plan, job.graph, lanes, _plan_folder(point, folder))
    with write_atomically(folder / "sweep.json") as temporary:
        temporary.write_text(json.dumps({"schema": 1, "points": records}, indent=1) + "\n")
    first = records[0]
    shares = {key: [record[key] / first[key] for record in records] for key in ("params", "macs")}
    for backend, whole in first["latency_ms"].items():
        shares[f"latency, {backend}"] = [record["latency_ms"][backend] / whole for record in records]
    low, high = found.cliff
    plot_sweep(
        folder / "sweep.png",
        [point.percent for point in found.points],
        [point.map50 for point in found.points],
        {{"params": "parameters", "macs": "MACs"}.get(name, name): values for name, values in shares.items()},
        knee=found.knee.percent if found.knee else None,
        cliff=(low.percent, high.percent),
    )


def _show(session: Session, job: Job, table: PruneTable, found: Sweep, backends: Sequence[str], folder: Path) -> None:
    from yoloslim.cli.reports import share
    from yoloslim.cli.tables import table as text_table

    low, high = found.cliff
    marks = {high.percent: "after the steepest fall"} | ({found.knee.percent: "knee"} if found.knee else {})
    rows = [
        (
            f"{point.percent:.2f}",
            share(point.map50),
            f"{point.params:,}",
            f"{point.macs / 1e6:,.0f}",
            *(f"{ms:.1f}" for ms in point.latency_ms),
            marks.get(point.percent, ""),
        )
        for point in found.points
    ]
    titles = ["percent", "AP50", "parameters", "MMACs", *(f"ms, {backend}" for backend in backends), ""]
    session.print(text_table(titles, rows))
    fall = f"AP50 falls most from {low.percent:.2f} ({share(low.map50)}) to {high.percent:.2f} ({share(high.map50)})"
    session.print(fall)
    if found.knee is None:
        session.print("no knee: AP50 falls from the first percent on; train sparse first, or fine-tune what remains")
        return
    session.print(f"the knee, {found.knee.percent:.2f}, becomes a model by:")
    session.print(f"  {_command(job, table, _plan_folder(found.knee, folder) / 'plan.json')}")


def _command(job: Job, table: PruneTable, plan: Path) -> str:
    """The command that turns a plan into a model, measured as the sweep did."""
    given = job.inputs
    words: list[object] = ["yoloslim", "prune", "--weights", given.weights, "--plan", plan, "--data", given.data]
    optional = {"--cfg": given.cfg, "--classes": given.classes, "--size": given.size, "--resize": given.resize}
    words += [word for option, value in optional.items() if value for word in (option, value)]
    words += ["--split", given.split] if given.split != "val" else []
    words += ["--single-class"] if given.single_class else []
    words += ["--recalibrate", table.recalibrate] if table.recalibrate else []
    words += [] if table.fold else ["--no-fold"]
    return shlex.join(map(str, words))
