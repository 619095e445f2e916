"""Lanes: which channels of a network are the same channel, and so live or die together.

Every channel that a convolution produces gets its own integer. Every other op only moves, joins or ties these:

    node          op                  lanes of its output channels
    000           convolution(4)      0 1 2 3
    001           convolution(2)      4 5
    002           convolution(4)      0 1 2 3     tied to 000 by the shortcut below
    003           shortcut(000)       0 1 2 3
    004           route(003, 001)     0 1 2 3 4 5

A union-find over the ties gives the classes of channels that live or die together; a *lane* is such a class. The kept
channels of a node, on its inputs and its output alike, are ``keep[lanes.of[node]]``: there is nothing else to know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatch

import numpy as np
from numpy.typing import NDArray

from yoloslim.cfg.schema import MIXING_ACTIVATIONS
from yoloslim.graph.graph import IMAGE, Graph
from yoloslim.graph.ops import (
    AvgPool,
    Contrastive,
    Convolution,
    Crop,
    Depthwise,
    Dropout,
    Empty,
    LocalAvgPool,
    MaxPool,
    MaxPoolDepth,
    Op,
    Reorg,
    Reorg3d,
    Route,
    Sam,
    ScaleChannels,
    Shortcut,
    SqueezeExcite,
    Upsample,
    Yolo,
)

Lane = NDArray[np.int64]
"""Lanes of the channels of one feature map, shape (C,)."""


@dataclass(frozen=True, slots=True)
class Lanes:
    """The lanes of a network, numbered from 0 in the order of their first writer.

    Attributes:
        of: lane of every output channel of every node (and of ``image``), each of shape (C,).
        count: number of lanes.
        fixed: shape (count,), True for lanes that no plan may remove.
        balanced: sets of channel parts that must keep equally many channels, for grouped routes and convolutions.
    """

    of: Mapping[str, Lane]
    count: int
    fixed: NDArray[np.bool_]
    balanced: tuple[tuple[Lane, ...], ...]


class LaneTable:
    """Collects new lanes, ties, fixed lanes and balanced parts while a graph is walked."""

    def __init__(self) -> None:
        self._parents: list[int] = []
        self._fixed: set[int] = set()
        self._balanced: list[tuple[Lane, ...]] = []

    def new(self, count: int) -> Lane:
        """Gives ``count`` lanes that nothing shares yet."""
        start = len(self._parents)
        self._parents.extend(range(start, start + count))
        return np.arange(start, start + count)

    def tie(self, first: Lane, second: Lane) -> None:
        """Makes channels one lane each, elementwise over the shorter side."""
        for a, b in zip(first.tolist(), second.tolist(), strict=False):
            low, high = sorted((self._root(a), self._root(b)))
            self._parents[high] = low

    def fix(self, lane: Lane) -> None:
        """Forbids removing these lanes."""
        self._fixed.update(lane.tolist())

    def keep_balanced(self, parts: Sequence[Lane]) -> None:
        """Demands that the parts keep equally many channels."""
        self._balanced.append(tuple(parts))

    def finish(self, of: Mapping[str, Lane]) -> Lanes:
        """Gives the lanes, renumbered from 0 in the order of first appearance."""
        roots = np.array([self._root(lane) for lane in range(len(self._parents))], dtype=np.int64)
        first, numbers = np.unique(roots, return_inverse=True)
        fixed = np.zeros(len(first), dtype=bool)
        fixed[numbers[sorted(self._fixed)]] = True
        balanced = tuple(tuple(numbers[part] for part in parts) for parts in self._balanced)
        return Lanes({name: numbers[lane] for name, lane in of.items()}, len(first), fixed, balanced)

    def _root(self, lane: int) -> int:
        while self._parents[lane] != lane:
            self._parents[lane] = self._parents[self._parents[lane]]
            lane = self._parents[lane]
        return lane


def trace_lanes(graph: Graph) -> Lanes:
    """Gives the lanes of a network."""
    table = LaneTable()
    of = {IMAGE: table.new(graph.input_shape.channels)}
    table.fix(of[IMAGE])
    for node in graph:
        of[node.name] = lanes_of(node.op, [of[name] for name in node.inputs], table)
        if node.weights_of:  # the same weights: channels go from both layers or from none
            table.tie(of[node.name], of[node.weights_of])
            table.tie(of[node.inputs[0]], of[graph[node.weights_of].inputs[0]])
    return table.finish(of)


@singledispatch
def lanes_of(op: Op, inputs: Sequence[Lane], table: LaneTable) -> Lane:
    """Gives the lanes of an op's output channels, and notes in ``table`` what the op ties, fixes or balances."""
    raise TypeError(f"no lane rule for {type(op).__name__}")


@lanes_of.register
def _(op: Convolution, inputs: Sequence[Lane], table: LaneTable) -> Lane:
    if op.groups == len(inputs[0]) > 1:  # depthwise, with filters / groups outputs a channel: they go with their input
        output = np.repeat(inputs[0], op.filters // op.groups)
    else:
        output = table.new(op.filters)
        if op.groups > 1:
            table.keep_balanced(np.split(inputs[0], op.groups))
            table.keep_balanced(np.split(output, op.groups))
    return _fixed_if_mixing(op.activation, output, table)


@lanes_of.register
def _(op: Depthwise, inputs: Sequence[Lane], table: LaneTable) -> Lane:
    return _fixed_if_mixing(op.activation, inputs[0], table)


@lanes_of.register(MaxPoolDepth)
@lanes_of.register(Reorg)
def _(op: MaxPoolDepth | Reorg, inputs: Sequence[Lane], table: LaneTable) -> Lane:
    output = table.new(op.out_channels if isinstance(op, MaxPoolDepth) else len(inputs[0]) * op.stride**2)
    table.fix(inputs[0])  # an output channel mixes several input channels
    table.fix(output)
    return output


@lanes_of.register
def _(op: Reorg3d, inputs: Sequence[Lane], table: LaneTable) -> Lane:
    return np.tile(inputs[0], op.stride**2)


@lanes_of.register
def _(op: Route, inputs: Sequence[Lane], table: LaneTable) -> Lane:
    if op.groups > 1:
        for lane in inputs:
            table.keep_balanced(np.split(lane, op.groups))  # Darknet splits in equal parts
        inputs = [np.split(lane, op.groups)[op.group_id] for lane in inputs]
    return np.concatenate(inputs)


@lanes_of.register(Sam)
@lanes_of.register(Shortcut)
def _(op: Sam | Shortcut, inputs: Sequence[Lane], table: LaneTable) -> Lane:
    for lane in inputs[1:]:
        table.tie(inputs[0], lane)
    return _fixed_if_mixing(op.activation, inputs[0], table)


@lanes_of.register
def _(op: ScaleChannels, inputs: Sequence[Lane], table: LaneTable) -> Lane:
    scales, features = inputs
    if op.spatial:
        table.fix(scales)
    else:
        table.tie(scales, features)
    return _fixed_if_mixing(op.activation, features, table)


@lanes_of.register(Contrastive)
@lanes_of.register(Yolo)
def _(op: Contrastive | Yolo, inputs: Sequence[Lane], table: LaneTable) -> Lane:
    table.fix(inputs[0])
    return inputs[0]


@lanes_of.register(AvgPool)
@lanes_of.register(Crop)
@lanes_of.register(Dropout)
@lanes_of.register(Empty)
@lanes_of.register(LocalAvgPool)
@lanes_of.register(MaxPool)
@lanes_of.register(SqueezeExcite)
@lanes_of.register(Upsample)
def _(op: Op, inputs: Sequence[Lane], table: LaneTable) -> Lane:
    return inputs[0]


def _fixed_if_mixing(activation: str, lane: Lane, table: LaneTable) -> Lane:
    if activation in MIXING_ACTIVATIONS:
        table.fix(lane)
    return lane
