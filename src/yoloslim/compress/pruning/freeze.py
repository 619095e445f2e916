"""Rules for lanes that a method leaves alone, beyond those that are fixed by the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from yoloslim.errors import PlanError
from yoloslim.graph.graph import IMAGE, Graph
from yoloslim.graph.lanes import Lane, Lanes
from yoloslim.graph.ops import Convolution, Depthwise, MaxPool, Route, Shortcut, Upsample

Rule = Callable[[Graph, Lanes], Iterator[Lane]]


def tied_by_shortcut(graph: Graph, lanes: Lanes) -> Iterator[Lane]:
    """Gives the lanes that shortcuts tie: the front channels that the first input shares with each other one."""
    for node in graph:
        if isinstance(node.op, Shortcut):
            first, *others = (lanes.of[name] for name in node.inputs)
            yield from (first[: len(other)] for other in others)


def feeding_upsample(graph: Graph, lanes: Lanes) -> Iterator[Lane]:
    """Gives the lanes that upsamplings read."""
    return (lanes.of[node.name] for node in graph if isinstance(node.op, Upsample))


def feeding_pyramid(graph: Graph, lanes: Lanes) -> Iterator[Lane]:
    """Gives the lanes that spatial pyramid pooling reads: a route joins several max-poolings of the same map."""
    for node in graph:
        if isinstance(node.op, Route):
            pooled = [lanes.of[name] for name in node.inputs if name != IMAGE and isinstance(graph[name].op, MaxPool)]
            yield from (lane for lane in pooled if sum(np.array_equal(lane, other) for other in pooled) > 1)


def feeding_grouped_route(graph: Graph, lanes: Lanes) -> Iterator[Lane]:
    """Gives the lanes of which a route takes a part."""
    for node in graph:
        if isinstance(node.op, Route) and node.op.groups > 1:
            yield from (lanes.of[name] for name in node.inputs)


def feeding_depthwise(graph: Graph, lanes: Lanes) -> Iterator[Lane]:
    """Gives the lanes that depthwise convolutions read."""
    for node in graph:
        source = lanes.of[node.inputs[0]]
        grouped = isinstance(node.op, Convolution) and node.op.groups == len(source) > 1
        if grouped or isinstance(node.op, Depthwise):
            yield source


def everything(graph: Graph, lanes: Lanes) -> Iterator[Lane]:
    """Gives every lane."""
    yield np.arange(lanes.count)


RULES: Mapping[str, Rule] = {
    "shortcut": tied_by_shortcut,
    "upsample": feeding_upsample,
    "spp": feeding_pyramid,
    "grouped_route": feeding_grouped_route,
    "depthwise": feeding_depthwise,
    "everything": everything,
}
"""Freeze rules by name. The originals freeze the lanes of the first five."""


def check_rules(rules: tuple[str, ...]) -> None:
    """Makes sure that rules of these names exist.

    Raises:
        PlanError: one does not.
    """
    unknown = [rule for rule in rules if rule not in RULES]
    if unknown:
        raise PlanError(f"no freeze rule '{unknown[0]}'; known: {', '.join(RULES)}")


def frozen_lanes(graph: Graph, lanes: Lanes, rules: tuple[str, ...]) -> NDArray[np.bool_]:
    """Gives the lanes that the network fixes or one of the named rules freezes, shape (lanes.count,).

    Raises:
        PlanError: a rule is unknown.
    """
    check_rules(rules)
    frozen = lanes.fixed.copy()
    for rule in rules:
        for lane in RULES[rule](graph, lanes):
            frozen[lane] = True
    return frozen
