"""Pruning methods: each a composition of score, reduction, frozen lanes, selection, rounding and blocks.

    network --score--> channel scores --reduction--> lane scores --selection--> lanes that stay
        --floor, balance, rounding--> plan

``rank`` does what does not depend on the percent, ``plan_at`` the rest: a search asks for many percents cheaply.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from yoloslim.compress.pruning.balance import put_back
from yoloslim.compress.pruning.blocks import lowest_blocks
from yoloslim.compress.pruning.freeze import frozen_lanes
from yoloslim.compress.pruning.plan import JsonValue, PruningPlan, check_plan
from yoloslim.compress.pruning.reduction import Normalize, Reduction, first_writers, lane_scores, normalized
from yoloslim.compress.pruning.scores import DATA_FREE, ChannelScores, FloatArray, Score, writers
from yoloslim.compress.pruning.select import (
    below_percentile,
    lowest_of_layers,
    lowest_scored,
    random_of_layers,
    with_floor,
)
from yoloslim.errors import PlanError
from yoloslim.graph.blocks import drop_blocks, lanes_without
from yoloslim.graph.graph import Graph
from yoloslim.graph.lanes import Lane, Lanes
from yoloslim.nn.network import Network

Over = Literal["lanes", "writers", "layer", "random"]


@dataclass(frozen=True, slots=True)
class Method:
    """What a pruning method is made of.

    Attributes:
        frozen: names of freeze rules.
        score: of channels.
        reduction: from the channels that write a lane to the lane.
        over: what the percent is taken of: all ``lanes``; all channels that ``writers`` give, as the originals count;
            each ``layer``; or of each layer a ``random`` share.
        round_to: every layer keeps a multiple of this many channels, unless the user sets another.
        blocks: share of the residual blocks that goes, unless the user sets a number; 0 for methods that drop none.
    """

    name: str
    frozen: tuple[str, ...] = ()
    score: Score = "gamma"
    reduction: Reduction = "max"
    over: Over = "lanes"
    round_to: int = 1
    blocks: float = 0.0


METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        Method("normal", frozen=("shortcut", "upsample")),
        Method("regular", frozen=("shortcut", "upsample"), round_to=8),
        Method("shortcut", reduction="first"),
        Method("slim"),
        Method("layer", frozen=("everything",), blocks=0.25),
        Method("layer_channel", blocks=0.25),
        Method("eagleeye", score="l1", over="random"),
    )
}
"""Methods by name."""


@dataclass(frozen=True, slots=True)
class PruneSettings:
    """What the user sets.

    Attributes:
        percent: share of the lanes that the method may remove, 0..1.
        round_to: every layer keeps a multiple of this many channels; the method's when None.
        min_keep: share of each layer's channels that stays whatever the scores say, 0..1.
        normalize: see ``normalized``.
        blocks: residual blocks to drop; the method's share of them when None.
        only: pattern of node names (``*``, ``?``, ``[...]``); lanes that another node writes too are left alone.
        seed: of random shares.
    """

    percent: float = 0.0
    round_to: int | None = None
    min_keep: float = 0.01
    normalize: Normalize = "none"
    blocks: int | None = None
    only: str = "*"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("percent", "min_keep"):
            if not 0 <= getattr(self, name) <= 1:
                raise PlanError(f"{name} is a share from 0 to 1, found {getattr(self, name)}")
        if self.round_to is not None and self.round_to < 1:
            raise PlanError(f"channels can be rounded to a multiple of 1 or more, found {self.round_to}")
        if self.blocks is not None and self.blocks < 0:
            raise PlanError(f"blocks to drop are 0 or more, found {self.blocks}")


@dataclass(frozen=True, slots=True)
class Ranking:
    """What a method knows of a network before a percent is chosen.

    Attributes:
        method: with its rounding as the user set it.
        dropped: shortcuts whose blocks go.
        lanes: of the network without them.
        writing: the nodes that write these lanes.
        scores: of each lane, shape (lanes,).
        removable: lanes that the percent counts, shape (lanes,).
        channels: scores of the channels that write them, one a channel, in any order.
        layers: place in ``writing`` of the first node that writes each lane, shape (lanes,).
    """

    method: Method
    settings: PruneSettings
    dropped: tuple[str, ...]
    lanes: Lanes
    writing: tuple[str, ...]
    scores: FloatArray
    removable: NDArray[np.bool_]
    channels: FloatArray
    layers: Lane


@dataclass(frozen=True, slots=True)
class Choice:
    """The lanes that stay, shape (lanes,) each: as selected, then each time with some put back.

    Attributes:
        selected: by score alone.
        floored: no layer has less than its floor.
        balanced: grouped layers have equal parts.
        rounded: layers have a multiple of channels; the final one.
    """

    selected: NDArray[np.bool_]
    floored: NDArray[np.bool_]
    balanced: NDArray[np.bool_]
    rounded: NDArray[np.bool_]


def find_method(name: str) -> Method:
    """Gives the method of that name.

    Raises:
        PlanError: there is none.
    """
    if name not in METHODS:
        raise PlanError(f"no pruning method '{name}'; known: {', '.join(METHODS)}")
    return METHODS[name]


def plan_pruning(network: Network, method: str, settings: PruneSettings) -> PruningPlan:
    """Gives the plan of a method for a network, by its name.

    Raises:
        PlanError: the method is unknown, or cannot do what is set.
    """
    chosen = find_method(method)
    return plan_at(rank(network.graph, chosen, settings, DATA_FREE[chosen.score](network)), settings.percent)


def rank(graph: Graph, method: Method, settings: PruneSettings, channels: ChannelScores) -> Ranking:
    """Gives what a method knows of a network before a percent is chosen.

    Args:
        channels: the method's score of each channel.

    Raises:
        PlanError: the method cannot do what is set.
    """
    _check(method, settings)
    dropped = lowest_blocks(graph, channels, method.blocks, settings.blocks)
    rest, lanes = drop_blocks(graph, dropped), lanes_without(graph, dropped)
    writing = writers(rest)
    compared = normalized({name: channels[name] for name in writing if name in channels}, settings.normalize)
    scores = lane_scores(compared, lanes, writing, method.reduction)
    layers = first_writers(lanes, writing)
    removable = ~frozen_lanes(rest, lanes, method.frozen) & np.isfinite(scores) & (layers >= 0)
    removable &= _inside(lanes, writing, settings.only)
    counted = [np.zeros(0), *(values[removable[lanes.of[name]]] for name, values in compared.items())]
    chosen = replace(method, round_to=settings.round_to or method.round_to)
    pool = np.concatenate(counted)
    return Ranking(chosen, settings, dropped, lanes, writing, scores, removable, pool, layers)


def choose(ranking: Ranking, percent: float) -> Choice:
    """Gives the lanes that stay at a percent, and what was put back for which reason."""
    scores, lanes, multiple = ranking.scores, ranking.lanes, ranking.method.round_to
    selected = _selected(ranking, percent)
    floored = with_floor(selected, scores, lanes, ranking.settings.min_keep)
    balanced = put_back(floored, scores, lanes)
    return Choice(selected, floored, balanced, put_back(balanced, scores, lanes, ranking.writing, multiple))


def plan_at(ranking: Ranking, percent: float) -> PruningPlan:
    """Gives the plan that removes that share of the removable lanes, less what has to stay."""
    keep = choose(ranking, percent).rounded
    present = np.zeros(len(keep), dtype=bool)
    for lane in ranking.lanes.of.values():
        present[lane] = True
    plan = PruningPlan(keep & present, ranking.method.name, _options(ranking, percent), ranking.dropped)
    check_plan(plan, ranking.lanes)
    return plan


def _selected(ranking: Ranking, percent: float) -> NDArray[np.bool_]:
    scores, removable, layers = ranking.scores, ranking.removable, ranking.layers
    match ranking.method.over:
        case "lanes":
            return lowest_scored(scores, removable, percent)
        case "writers":
            return below_percentile(scores, removable, ranking.channels, percent)
        case "layer":
            return lowest_of_layers(scores, removable, layers, percent)
        case "random":
            return random_of_layers(scores, removable, layers, percent, ranking.settings.seed)


def _inside(lanes: Lanes, writing: tuple[str, ...], pattern: str) -> NDArray[np.bool_]:
    """Lanes that only nodes of that pattern write.

    Raises:
        PlanError: no node that writes lanes has such a name.
    """
    matching = {name for name in writing if fnmatch(name, pattern)}
    if not matching:
        raise PlanError(f"only={pattern}: no layer with weights is named so; they are named as {writing[0]}")
    inside = np.ones(lanes.count, dtype=bool)
    for name in writing:
        if name not in matching:
            inside[lanes.of[name]] = False
    return inside


def _check(method: Method, settings: PruneSettings) -> None:
    if settings.percent and "everything" in method.frozen:
        raise PlanError(f"method {method.name} removes residual blocks and no channels: leave percent out, set blocks")
    if settings.blocks and not method.blocks:
        dropping = ", ".join(name for name, other in METHODS.items() if other.blocks)
        raise PlanError(
            f"method {method.name} drops no residual blocks, found blocks={settings.blocks}; use {dropping}"
        )


def _options(ranking: Ranking, percent: float) -> dict[str, JsonValue]:
    method, settings = ranking.method, ranking.settings
    return {
        "percent": percent,
        "score": method.score,
        "reduction": method.reduction,
        "over": method.over,
        "frozen": ", ".join(method.frozen),
        "normalize": settings.normalize,
        "round_to": method.round_to,
        "min_keep": settings.min_keep,
        "only": settings.only,
        "seed": settings.seed,
        "blocks": len(ranking.dropped),
    }
