"""Pruning methods: each a choice of score, frozen lanes, selection and rounding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from yoloslim.compress.pruning.balance import put_back
from yoloslim.compress.pruning.freeze import frozen_lanes
from yoloslim.compress.pruning.plan import PruningPlan, check_plan
from yoloslim.compress.pruning.scores import Normalize, batch_norm_scores, gammas, writers
from yoloslim.compress.pruning.select import lowest_scored, with_floor
from yoloslim.errors import PlanError
from yoloslim.graph.lanes import trace_lanes
from yoloslim.nn.network import Network


@dataclass(frozen=True, slots=True)
class Method:
    """What a pruning method leaves alone.

    Attributes:
        frozen: names of freeze rules.
    """

    frozen: tuple[str, ...]


METHODS: Mapping[str, Method] = {"normal": Method(frozen=("shortcut", "upsample"))}
"""Methods by name."""


@dataclass(frozen=True, slots=True)
class PruneSettings:
    """What the user sets.

    Attributes:
        percent: share of the lanes that the method may remove, 0..1.
        round_to: every layer keeps a multiple of this many channels.
        min_keep: share of each layer's channels that stays whatever the scores say, 0..1.
        normalize: see ``batch_norm_scores``.
    """

    percent: float
    round_to: int = 1
    min_keep: float = 0.01
    normalize: Normalize = "none"

    def __post_init__(self) -> None:
        for name in ("percent", "min_keep"):
            if not 0 <= getattr(self, name) <= 1:
                raise PlanError(f"{name} is a share from 0 to 1, found {getattr(self, name)}")
        if self.round_to < 1:
            raise PlanError(f"channels can be rounded to a multiple of 1 or more, found {self.round_to}")


def plan_pruning(network: Network, method: str, settings: PruneSettings) -> PruningPlan:
    """Gives the plan of a method for a network.

    Raises:
        PlanError: the method is unknown.
    """
    if method not in METHODS:
        raise PlanError(f"no pruning method '{method}'; known: {', '.join(METHODS)}")
    graph = network.graph
    lanes = trace_lanes(graph)
    writing = writers(graph)
    scores = batch_norm_scores(gammas(network), lanes, writing, settings.normalize)
    keep = lowest_scored(scores, ~frozen_lanes(graph, lanes, METHODS[method].frozen), settings.percent)
    keep = with_floor(keep, scores, lanes, settings.min_keep)
    plan = PruningPlan(put_back(keep, scores, lanes, writing, settings.round_to), method, asdict(settings))
    check_plan(plan, lanes)
    return plan
