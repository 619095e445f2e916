"""What ``prune`` works on, and how it ends: a proof, figures, files."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yoloslim.cli.outcome import CheckFailed
from yoloslim.cli.session import Result, Session
from yoloslim.errors import DataError, PlanError

if TYPE_CHECKING:
    from torch import Tensor

    from yoloslim.boxes.placement import ResizeMode
    from yoloslim.compress.pruning.plan import PruningPlan
    from yoloslim.data.dataset import Dataset
    from yoloslim.graph.graph import Graph
    from yoloslim.nn.network import Network
    from yoloslim.recipes.prune import Evidence, Planned, Pruned
    from yoloslim.recipes.schema import PruneTable
    from yoloslim.runtime.load import Model

_log = logging.getLogger(__name__)

EXACT = 1e-10
"""Largest relative difference, in float64, between the masked and the shrunk network that counts as rounding."""

_FASTER = 0.98  # of the time before; what is above it may be noise
_ROUNDINGS = (8, 16, 32)


@dataclass(frozen=True, slots=True)
class Inputs:
    """The options that name what is pruned and what it is measured on."""

    weights: Path
    cfg: str
    trust: bool
    data: str
    split: str
    classes: str
    size: str
    resize: ResizeMode | None
    batch: int
    single_class: bool


@dataclass(frozen=True, slots=True)
class Job:
    """What is pruned, and what it is measured on.

    Attributes:
        inputs: what the user named.
        model: the network to prune, its classes dropped already.
        graph: that network as its cfg has it: what plan files are for.
        class_diff: how far its heads are from those of all classes; None where none was dropped.
        dataset: pictures to measure on, if there are any.
        training: pictures that it was trained on, if there are any.
        classes: those of the data set that count, in the order of the network; empty for all.
        evidence: what planning may ask of pictures.
    """

    inputs: Inputs
    model: Model
    graph: Graph
    class_diff: float | None
    dataset: Dataset | None
    training: Dataset | None
    classes: tuple[int, ...]
    evidence: Evidence | None


def open_job(session: Session, inputs: Inputs, table: PruneTable) -> Job:
    """Gives what is pruned and what it is measured on.

    Raises:
        YoloslimError: a file is missing, damaged or does not fit.
    """
    from yoloslim.cli.detector import fitted, load_model
    from yoloslim.cli.eval import open_dataset
    from yoloslim.recipes.evidence import Pictures, evidence_of
    from yoloslim.recipes.prune import needs_pictures
    from yoloslim.runtime.load import require_float

    dataset = training = None
    if inputs.data:
        dataset = open_dataset(session, inputs.data, inputs.split, single_class=inputs.single_class)
    if dataset is not None and (table.recalibrate or needs_pictures(table)):
        training = open_dataset(session, inputs.data, "train", single_class=inputs.single_class)
    whole = _named(load_model(session, inputs.weights, inputs.cfg, trust=inputs.trust), dataset)
    require_float(whole, "prune")
    loaded, kept, difference = _with_classes(whole, inputs.classes)
    model = fitted(loaded, inputs.size, inputs.resize)
    counted = kept if dataset is not None and len(dataset.names) == whole.graph.classes else ()
    evidence = None
    if dataset is not None:
        pictures = Pictures(training or dataset, dataset, table.pictures, session.device, counted, inputs.batch)
        evidence = evidence_of(model, pictures)
    return Job(inputs, model, loaded.graph, difference, dataset, training, counted, evidence)


def finish_pruning(
    session: Session, job: Job, table: PruneTable, plan: Path | None, backends: Sequence[str], folder: Path
) -> Result:
    """Plans, prunes, proves, measures and writes; gives the keys of the JSON.

    Args:
        plan: a plan to apply; None to make one.
        backends: what latency is measured with.

    Raises:
        CheckFailed: the small network does not compute what the masked one does; nothing is written.
    """
    from yoloslim.compress.pruning.plan import load_plan
    from yoloslim.recipes.prune import Planned, plan_of, prune, pruned_model

    network = job.model.network
    planned = (
        Planned(load_plan(plan, job.graph))
        if plan
        else plan_of(network, table, seed=session.seed, evidence=job.evidence)
    )
    pruned = prune(network, planned.plan, folding=table.fold, batches=training_batches(job, table.recalibrate))
    _check_exact(job, pruned)
    small = pruned_model(job.model, pruned.network, planned.plan)
    result = {
        "method": planned.plan.method,
        **_changes(job.model, small, planned.plan),
        **_accuracies(session, job, pruned, planned.plan),
        "latency_ms": _latencies(job.model, small, backends),
        "max_abs_diff": pruned.max_abs_diff,
        "class_diff": job.class_diff,
        "fold_gap": asdict(pruned.fold_gap) if pruned.fold_gap else None,
        "shortfall": asdict(planned.shortfall) if planned.shortfall else None,
        "note": planned.note,
        **write_model(small, planned.plan, job.graph, folder, f"{job.inputs.weights.stem}-pruned"),
    }
    _tell(planned)
    _advise_rounding(session, job, table, result["latency_ms"])
    _show(session, table, result)
    return result


def write_model(small: Model, plan: PruningPlan, graph: Graph, folder: Path, stem: str) -> dict[str, str]:
    """Writes the small model, and the plan for ``graph``, the network as its cfg has it; gives the files by name."""
    from yoloslim.compress.pruning.plan import save_plan
    from yoloslim.graph.lanes import trace_lanes
    from yoloslim.runtime.save import save_all

    cfg, weights, checkpoint = save_all(small, folder, stem)
    save_plan(plan, graph, trace_lanes(graph), folder)
    paths = {"cfg": cfg, "weights": weights, "checkpoint": checkpoint, "plan": folder / "plan.json"}
    return {key: str(path) for key, path in paths.items()}


def _named(model: Model, dataset: Dataset | None) -> Model:
    """Gives the model with the class names of the data set, where it has none itself and they fit."""
    if dataset is None or model.names or len(dataset.names) != model.graph.classes:
        return model
    return replace(model, names=dataset.names)


def _with_classes(model: Model, text: str) -> tuple[Model, tuple[int, ...], float | None]:
    """The model that predicts only the user's classes, these, and how far what it says of them is from before."""
    from yoloslim.compress.pruning.classes import parse_classes
    from yoloslim.compress.pruning.verify import class_diff
    from yoloslim.recipes.prune import model_of_classes

    if not text:
        return model, (), None
    kept = parse_classes(text, model.graph.classes)
    small = model_of_classes(model, kept)
    return small, kept, class_diff(model.network, small.network, kept)


def training_batches(job: Job, count: int) -> list[Tensor]:
    """Gives the first ``count`` training pictures as batches.

    Raises:
        DataError: none of them can be read.
    """
    from yoloslim.recipes.evidence import training_pictures

    if job.training is None or not count:
        return []
    try:
        return training_pictures(job.model, job.training, count, job.inputs.batch)
    except DataError as error:
        raise DataError(f"--recalibrate {count}: {error}") from error


def _check_exact(job: Job, pruned: Pruned) -> None:
    if not pruned.max_abs_diff <= EXACT:
        raise CheckFailed(f"shrunk and masked network differ by {pruned.max_abs_diff:.1e}; nothing was written")
    if job.class_diff is not None and not job.class_diff <= EXACT:
        raise CheckFailed(f"heads with and without the other classes differ by {job.class_diff:.1e}; nothing written")


def _changes(model: Model, small: Model, plan: PruningPlan) -> Result:
    from yoloslim.graph.blocks import residual_blocks
    from yoloslim.graph.cost import total_cost

    costs = total_cost(model.graph), total_cost(small.graph)
    changes = {key: {"before": getattr(costs[0], key), "after": getattr(costs[1], key)} for key in ("params", "macs")}
    blocks = residual_blocks(model.graph)
    count = len(blocks.removable)
    return {
        **changes,
        "lanes": {"before": plan.keep.size, "after": int(plan.keep.sum())},
        "blocks": {"before": count, "after": count - len(plan.dropped)},
        "blocks_not_removable": dict(blocks.others),
    }


def _accuracies(session: Session, job: Job, pruned: Pruned, plan: PruningPlan) -> Result:
    """Gives the AP50 before and after, and what the network would have without folding, and without new statistics."""
    from yoloslim.compress.pruning.shrink import shrink

    found = {"before": _accuracy(session, job, job.model.network, "before")}
    if job.training is None or pruned.network is pruned.kept_statistics:
        found["after"] = _accuracy(session, job, pruned.network, "after", tells=True)
        return {"map50": found, "compared": None}
    compared = {"cut": shrink(job.model.network, plan)}
    if pruned.fold_gap is not None:
        compared["folded"] = pruned.kept_statistics
    compared["recalibrated"] = pruned.network
    scores = {name: _accuracy(session, job, network, name) for name, network in compared.items()}
    return {"map50": {**found, "after": scores["recalibrated"]}, "compared": scores}


def _accuracy(session: Session, job: Job, network: Network, when: str, *, tells: bool = False) -> float | None:
    """Gives the AP50 of a network on the job's pictures, None without any."""
    from yoloslim.boxes.detect import DetectSettings
    from yoloslim.cli.detector import detector_of
    from yoloslim.cli.progress import progress_bar
    from yoloslim.cli.reports import tell_problems
    from yoloslim.recipes.evaluate import evaluate_on
    from yoloslim.runtime.load import with_network

    if job.dataset is None:
        return None
    settings = DetectSettings(conf=0.001, single_class=job.dataset.single_class)
    detector = detector_of(session, with_network(job.model, network), settings)
    with progress_bar(session, f"evaluating {when}", len(job.dataset)) as progress:
        result, problems = evaluate_on(
            detector, job.dataset, batch=job.inputs.batch, progress=progress, classes=job.classes
        )
    if tells:
        tell_problems(problems)
    return result.map50


def _latencies(model: Model, small: Model, backends: Sequence[str]) -> dict[str, dict[str, float]]:
    from yoloslim.recipes.latency import network_ms

    return {
        backend: {"before": network_ms(model.network, backend), "after": network_ms(small.network, backend)}
        for backend in backends
    }


def _tell(planned: Planned) -> None:
    """Logs why the plan is not what was asked for."""
    if planned.note:
        _log.warning("%s", planned.note)
    short = planned.shortfall
    if short is not None:
        _log.warning("asked for %d lanes, %d go; what held most of the others:", short.asked, short.removed)
        for hold in short.holds:
            _log.warning("  %d of %s: %s", hold.lanes, hold.node, hold.reason)
        _log.warning(
            "the highest percent that does what it says, rounding aside, is %.2f; at most %.2f can go",
            short.works,
            short.most,
        )


def _tell_blocks(session: Session, table: PruneTable, result: Mapping[str, Any]) -> None:
    """Says how many residual blocks go because nobody said how many, and which are none that can."""
    from yoloslim.cli.reports import change

    if result["blocks"]["before"] == result["blocks"]["after"]:
        return
    default = "" if table.blocks is not None else "; a quarter, as --blocks is not given"
    session.print(f"{'blocks':12}{change(**result['blocks'])} of those that can be dropped{default}")
    for name, reason in result["blocks_not_removable"].items():
        session.print(f"{'':12}{name} stays: {reason}")


def _advise_rounding(session: Session, job: Job, table: PruneTable, latencies: Mapping[str, Any]) -> None:
    """Warns where pruning made nothing faster, and names the rounding that would."""
    for backend, times in latencies.items():
        limit = _FASTER * times["before"]
        if times["after"] <= limit:
            continue
        text = f"pruning did not make it faster by {backend} ({times['before']:.1f} -> {times['after']:.1f} ms)"
        found = _faster_rounding(session, job, table, backend, limit)
        if found is None:
            _log.warning("%s; no other rounding of channels does", text)
        else:
            _log.warning("%s; --round %d does: %.1f ms", text, *found)


def _faster_rounding(
    session: Session, job: Job, table: PruneTable, backend: str, limit: float
) -> tuple[int, float] | None:
    """The smallest rounding with which the network takes no longer than ``limit`` milliseconds, and what it takes."""
    from yoloslim.compress.pruning.shrink import shrink
    from yoloslim.recipes.latency import network_ms
    from yoloslim.recipes.prune import needs_pictures, planned

    if needs_pictures(table) or not (table.percent or table.target):
        return None
    for multiple in _ROUNDINGS:
        with suppress(PlanError):  # a target that this rounding cannot reach
            plan = planned(job.model.network, replace(table, round=multiple), seed=session.seed)
            took = network_ms(shrink(job.model.network, plan), backend)
            if took <= limit:
                return multiple, took
    return None


def _show(session: Session, table: PruneTable, result: dict[str, Any]) -> None:
    from yoloslim.cli.reports import change, share

    session.print(f"{'lanes':12}{change(**result['lanes'])}")
    _tell_blocks(session, table, result)
    for key, title in (("params", "parameters"), ("macs", "MACs")):
        session.print(f"{title:12}{change(**result[key])}")
    before, after = result["map50"].values()
    if before is not None:
        session.print(f"{'AP50':12}{share(before)} -> {share(after)}")
    if result["compared"]:
        scores = ", ".join(f"{name} {share(score)}" for name, score in result["compared"].items())
        session.print(f"{'':12}{scores}")
    for backend, times in result["latency_ms"].items():
        session.print(f"{backend:12}{times['before']:.1f} -> {times['after']:.1f} ms a picture, network alone")
    _show_proofs(session, result)
    for key in ("cfg", "weights", "checkpoint", "plan"):
        session.print(f"{key:12}{result[key]}")


def _show_proofs(session: Session, result: dict[str, Any]) -> None:
    session.print(f"{'proof':12}shrunk == masked to {result['max_abs_diff']:.1e} (float64, relative)")
    if result["class_diff"] is not None:
        session.print(f"{'':12}kept classes == before to {result['class_diff']:.1e}")
    gap = result["fold_gap"]
    if gap:
        text = f"{gap['largest']:.1e} at most, {gap['mean']:.1e} on average (relative; zero-padded borders)"
        session.print(f"{'folding':12}gap to constant channels {text}")
