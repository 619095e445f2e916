"""Pruning as one workflow: plan, fold, shrink, proof, optional re-estimation of batch-norm statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from yoloslim.compress.pruning.classes import head_channels, keep_classes
from yoloslim.compress.pruning.fold import Folded, folded
from yoloslim.compress.pruning.freeze import check_rules
from yoloslim.compress.pruning.held import Shortfall, shortfall
from yoloslim.compress.pruning.methods import Method, PruneSettings, Ranking, find_method, plan_at, rank
from yoloslim.compress.pruning.origin import origin_of, traced
from yoloslim.compress.pruning.plan import PruningPlan
from yoloslim.compress.pruning.scores import DATA_FREE, ChannelScores, random_scores
from yoloslim.compress.pruning.search import Reached, Target, cost_left, parse_target, plan_to_target
from yoloslim.compress.pruning.shrink import shrink, shrunk_graph
from yoloslim.compress.pruning.verify import FoldGap, fold_gap, max_abs_diff
from yoloslim.engine.recalibrate import recalibrate
from yoloslim.errors import PlanError, RecipeError
from yoloslim.graph.cost import Cost, total_cost
from yoloslim.graph.graph import Graph
from yoloslim.graph.lanes import trace_lanes
from yoloslim.nn.network import Network
from yoloslim.recipes.latency import network_ms, predicted_ms
from yoloslim.recipes.schema import PruneTable
from yoloslim.runtime.load import Model

_CORRECTIONS = 3  # of a predicted latency by a measured one
_NEAR = 0.01  # of a latency, where it is left as it is


@dataclass(frozen=True, slots=True)
class Pruned:
    """What pruning gives.

    Attributes:
        network: the small network.
        max_abs_diff: largest relative difference between its head maps and the masked network's, in float64.
        fold_gap: how far folding is from exact; None without folding.
        kept_statistics: the small network with the batch-norm statistics of the whole one; ``network`` where they stay.
    """

    network: Network
    max_abs_diff: float
    fold_gap: FoldGap | None
    kept_statistics: Network


@dataclass(frozen=True, slots=True)
class Evidence:
    """What planning may ask of pictures.

    Attributes:
        accuracy: gives the AP50 of a network on pictures that results are measured on.
        training_accuracy: the same on pictures that it was trained on.
        pictures: gives training pictures, shape (B, C, H, W) each, RGB in 0..1.
        taylor: gives Taylor scores.
    """

    accuracy: Callable[[Network], float]
    training_accuracy: Callable[[Network], float]
    pictures: Callable[[], list[Tensor]]
    taylor: Callable[[Network], ChannelScores]


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan and what the user should know about it.

    Attributes:
        shortfall: why it removes less than the percent says; None where it does not.
        note: why it misses its target; empty where it does not.
    """

    plan: PruningPlan
    shortfall: Shortfall | None = None
    note: str = ""


def check_table(table: PruneTable) -> None:
    """Makes sure that a recipe's ``[prune]`` can be followed by some network.

    Raises:
        PlanError: a part of it is malformed or unknown.
        RecipeError: what it asks for does not go together.
    """
    method = composed(table)
    settings_of(table, seed=0)
    check_rules(method.frozen)
    if "everything" in method.frozen:
        if table.percent or table.target:
            raise RecipeError(f"method {table.method} takes no percent and no target: set blocks, or nothing")
    elif (table.percent is None) == (not table.target):
        raise RecipeError("[prune] needs one of percent (a share from 0 to 1) and target ('params=0.25')")
    target = parse_target(table.target) if table.target else None
    for key, least in (("recalibrate", 0), ("rounds", 1), ("pictures", 1), ("candidates", 1)):
        if getattr(table, key) < least:
            raise RecipeError(f"[prune] {key}: expected {least} or more, found {getattr(table, key)}")
    if table.rounds > 1 and target is not None and target.kind not in ("params", "macs"):
        raise RecipeError(
            f"[prune] rounds: only percent, params and macs can be reached in steps, found {table.target}"
        )
    if table.rounds > 1 and method.blocks and table.blocks is None:
        raise RecipeError("[prune] rounds: set blocks, which are shared out over the rounds")


def round_table(table: PruneTable, number: int, graph: Graph, dense: Cost) -> PruneTable:
    """Gives the ``[prune]`` of one of its rounds: each takes the same share of what the one before left.

    Args:
        number: of the round, from 0.
        graph: the network that this round prunes.
        dense: cost of the network before the first one.
    """
    count = table.rounds
    if count == 1:
        return table
    percent = None if table.percent is None else 1 - (1 - table.percent) ** (1 / count)
    blocks = table.blocks
    if blocks is not None:
        blocks = blocks * (number + 1) // count - blocks * number // count
    target = parse_target(table.target) if table.target else None
    if target is not None:
        left = getattr(total_cost(graph), target.kind) / getattr(dense, target.kind)
        target = replace(target, value=min(1.0, target.value ** ((number + 1) / count) / left))
    return replace(table, percent=percent, target=str(target or ""), blocks=blocks, rounds=1)


def composed(table: PruneTable) -> Method:
    """Gives the method of a recipe, with the parts that the recipe changes.

    Raises:
        PlanError: the method is unknown.
    """
    parts = {"score": table.score, "reduction": table.reduction, "over": table.over, "frozen": table.freeze}
    changed = {part: value for part, value in parts.items() if value is not None}
    return replace(find_method(table.method), **changed)  # type: ignore[arg-type]


def settings_of(table: PruneTable, seed: int) -> PruneSettings:
    """Gives the settings of a recipe's method.

    Raises:
        PlanError: one is out of range.
    """
    return PruneSettings(
        table.percent or 0.0, table.round, table.min_keep, table.normalize, table.blocks, table.only, seed
    )


def needs_pictures(table: PruneTable) -> str:
    """Gives what of a recipe's ``[prune]`` cannot be planned without pictures; empty for nothing."""
    method = composed(table)
    if method.score == "taylor":
        return "score taylor"
    if method.over == "random":
        return f"method {table.method}"
    return f"target {table.target}" if table.target.startswith("map_drop") else ""


def planned(network: Network, table: PruneTable, *, seed: int = 0, evidence: Evidence | None = None) -> PruningPlan:
    """Gives the plan that a recipe's ``[prune]`` makes for a network; see ``plan_of``."""
    return plan_of(network, table, seed=seed, evidence=evidence).plan


def plan_of(network: Network, table: PruneTable, *, seed: int = 0, evidence: Evidence | None = None) -> Planned:
    """Gives the plan that a recipe's ``[prune]`` makes for a network, and what it could not do.

    Args:
        seed: of random scores and shares.
        evidence: for what ``needs_pictures``.

    Raises:
        PlanError: the method cannot be applied, or the target not be reached.
        RecipeError: pictures are needed and there is no evidence.
    """
    ranking = ranking_of(network, table, seed=seed, evidence=evidence)
    if ranking.method.over == "random" and evidence is not None:
        found = _best(network, table, _candidates(network, table, ranking, evidence), evidence)
    else:
        found = _planned(network, table, ranking, evidence)
    if found.shortfall is not None and not found.shortfall.removed:
        raise PlanError(_nothing_goes(table.percent or 0.0, found.shortfall))
    return found


def ranking_of(network: Network, table: PruneTable, *, seed: int = 0, evidence: Evidence | None = None) -> Ranking:
    """Gives what a recipe's method knows of a network before a percent is chosen; arguments as of ``plan_of``.

    Raises:
        PlanError: the method cannot be applied.
        RecipeError: pictures are needed and there is no evidence.
    """
    reason = needs_pictures(table)
    if reason and evidence is None:
        raise RecipeError(f"{reason} needs pictures, found none: give a data file")
    method = composed(table)
    return rank(network.graph, method, settings_of(table, seed), _channel_scores(network, method, seed, evidence))


def prune(network: Network, plan: PruningPlan, *, folding: bool = True, batches: Iterable[Tensor] = ()) -> Pruned:
    """Gives the network without what the plan removes.

    Args:
        folding: move what removed channels added on average into the layers that read them.
        batches: pictures, shape (B, C, H, W), RGB in 0..1, to measure batch-norm statistics on anew; none keeps them.

    Raises:
        PlanError: the plan does not fit the network.
    """
    prepared = _prepared(network, plan, folding=folding)
    small = shrink(prepared.network, plan)
    difference = max_abs_diff(prepared.network, small, plan)
    gap = fold_gap(network, prepared, plan) if folding else None
    batches = list(batches)
    return Pruned(recalibrate(small, batches) if batches else small, difference, gap, small)


def unproved(network: Network, plan: PruningPlan, *, folding: bool = True) -> Network:
    """Gives the small network of ``prune`` without its proof: what is only measured and thrown away."""
    return shrink(_prepared(network, plan, folding=folding).network, plan)


def _prepared(network: Network, plan: PruningPlan, *, folding: bool) -> Folded:
    return folded(network, plan) if folding else Folded(network, {})


def pruned_model(model: Model, network: Network, plan: PruningPlan) -> Model:
    """Gives the model that a plan left: it knows where its channels came from, and no pictures are counted as seen.

    Darknet would end at once the training of weights that have seen as many pictures as the cfg asks for.
    """
    origin = origin_of(model.graph, plan, model.origin)
    return replace(model, network=network, origin=origin, header=model.header._replace(seen=0))


def model_of_classes(model: Model, classes: Sequence[int]) -> Model:
    """Gives the model that predicts only these classes, in this order.

    Raises:
        PlanError: the rows of a head cannot be removed; says why.
    """
    lanes = trace_lanes(model.graph)
    rows = {tuple(lanes.of[name]): channels for name, channels in head_channels(model.graph, classes).items()}
    kept = {
        node.name: (node.name, rows.get(tuple(lane), np.arange(len(lane))).tolist())
        for node, lane in ((node, lanes.of[node.name]) for node in model.graph)
    }
    names = tuple(model.names[index] for index in classes) if model.names else ()
    origin = traced(model.graph, kept, model.origin)
    return replace(model, network=keep_classes(model.network, classes), names=names, origin=origin)


def _channel_scores(network: Network, method: Method, seed: int, evidence: Evidence | None) -> ChannelScores:
    match method.score:
        case "taylor":
            assert evidence is not None
            return evidence.taylor(network)
        case "random":
            return random_scores(network, seed)
        case score:
            return DATA_FREE[score](network)


def _planned(network: Network, table: PruneTable, ranking: Ranking, evidence: Evidence | None) -> Planned:
    if not table.target:
        percent = table.percent or 0.0
        return Planned(plan_at(ranking, percent), shortfall(ranking, percent))
    reached = _reached(network, parse_target(table.target), ranking, evidence)
    return Planned(reached.plan, note=reached.note)


def _nothing_goes(percent: float, short: Shortfall) -> str:
    hold = short.holds[0]
    text = f"percent {percent:g} removes nothing: {hold.reason} holds {hold.lanes} channels of {hold.node}"
    return f"{text}; the highest percent that does what it says is {short.works:.2f}, at most {short.most:.2f} can go"


def _reached(network: Network, target: Target, ranking: Ranking, evidence: Evidence | None) -> Reached:
    match target.kind:
        case "params" | "macs":
            return plan_to_target(ranking, target, cost_left(network.graph, target.kind))
        case "latency_ms":
            return _fast_enough(network, target, ranking)
        case "map_drop":
            assert evidence is not None
            accuracy, whole = evidence.accuracy, evidence.accuracy(network)
            return plan_to_target(ranking, target, lambda plan: whole - accuracy(prune(network, plan).network))


def _fast_enough(network: Network, target: Target, ranking: Ranking) -> Reached:
    """The plan for a latency: predicted, measured, and predicted again with what the prediction was off by."""
    predict, off = predicted_ms(network, target.backend), 1.0
    for _ in range(_CORRECTIONS):
        factor = off

        def left(plan: PruningPlan, factor: float = factor) -> float:
            return factor * predict(shrunk_graph(network.graph, plan))

        found = plan_to_target(ranking, target, left)
        measured = network_ms(shrink(network, found.plan), target.backend)
        off *= measured / found.left
        if abs(measured - target.value) <= _NEAR * target.value:
            break
    return replace(found, left=measured)


def _candidates(network: Network, table: PruneTable, ranking: Ranking, evidence: Evidence) -> Iterator[Planned]:
    seeds = np.random.SeedSequence(ranking.settings.seed).generate_state(table.candidates)
    for seed in seeds.tolist():
        drawn = replace(ranking, settings=replace(ranking.settings, seed=seed))
        yield _planned(network, table, drawn, evidence)


def _best(network: Network, table: PruneTable, candidates: Iterable[Planned], evidence: Evidence) -> Planned:
    """The candidate that is most accurate once its batch-norm is measured anew (Li et al., EagleEye, 2020)."""
    pictures = evidence.pictures()

    def accuracy(candidate: Planned) -> float:
        small = prune(network, candidate.plan, folding=table.fold, batches=pictures).network
        return evidence.training_accuracy(small)

    return max(candidates, key=accuracy)
