"""Rules for lanes that a method leaves alone, beyond those that are fixed by the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from yoloslim.graph.graph import Graph, Node
from yoloslim.graph.lanes import Lanes
from yoloslim.graph.ops import Shortcut, Upsample

Rule = Callable[[Graph], Iterator[str]]


def tied_by_shortcut(graph: Graph) -> Iterator[str]:
    """Gives the nodes whose lanes a shortcut ties: the shortcuts themselves."""
    return _names(graph, lambda node: isinstance(node.op, Shortcut))


def feeding_upsample(graph: Graph) -> Iterator[str]:
    """Gives the nodes whose lanes an upsampling reads: the upsamplings themselves, whose lanes are the same."""
    return _names(graph, lambda node: isinstance(node.op, Upsample))


RULES: Mapping[str, Rule] = {"shortcut": tied_by_shortcut, "upsample": feeding_upsample}
"""Freeze rules by name."""


def frozen_lanes(graph: Graph, lanes: Lanes, rules: tuple[str, ...]) -> NDArray[np.bool_]:
    """Gives the lanes that the network fixes or one of the named rules freezes, shape (lanes.count,)."""
    frozen = lanes.fixed.copy()
    for rule in rules:
        for name in RULES[rule](graph):
            frozen[lanes.of[name]] = True
    return frozen


def _names(graph: Graph, wanted: Callable[[Node], bool]) -> Iterator[str]:
    return (node.name for node in graph if wanted(node))
