"""Rules for lanes that a method leaves alone, beyond those that are fixed by the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from yoloslim.graph.graph import Graph
from yoloslim.graph.lanes import Lane, Lanes
from yoloslim.graph.ops import Shortcut, Upsample

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


RULES: Mapping[str, Rule] = {"shortcut": tied_by_shortcut, "upsample": feeding_upsample}
"""Freeze rules by name."""


def frozen_lanes(graph: Graph, lanes: Lanes, rules: tuple[str, ...]) -> NDArray[np.bool_]:
    """Gives the lanes that the network fixes or one of the named rules freezes, shape (lanes.count,)."""
    frozen = lanes.fixed.copy()
    for rule in rules:
        for lane in RULES[rule](graph, lanes):
            frozen[lane] = True
    return frozen
