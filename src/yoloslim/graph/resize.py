"""The same network with fewer channels: the graph's half of a shrink."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import singledispatch

import numpy as np
from numpy.typing import NDArray

from yoloslim.graph.graph import Graph
from yoloslim.graph.lanes import Lanes
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


def select_lanes(graph: Graph, lanes: Lanes, keep: NDArray[np.bool_]) -> Graph:
    """Gives the network with only the kept channels.

    Args:
        keep: shape (lanes.count,), True for lanes that stay. Every node must keep a channel.
    """
    before = {name: len(lane) for name, lane in lanes.of.items()}
    after = {name: int(keep[lane].sum()) for name, lane in lanes.of.items()}
    nodes = (
        replace(node, op=resized(node.op, [(before[i], after[i]) for i in node.inputs], after[node.name]))
        for node in graph
    )
    return replace(graph, nodes=tuple(nodes))


@singledispatch
def resized(op: Op, inputs: Sequence[tuple[int, int]], outputs: int) -> Op:
    """Gives the op for fewer channels.

    Args:
        inputs: channels before and after, of every input.
        outputs: channels of the output after.
    """
    raise TypeError(f"no resize rule for {type(op).__name__}")


@resized.register
def _(op: Convolution, inputs: Sequence[tuple[int, int]], outputs: int) -> Op:
    before, after = inputs[0]
    return replace(op, filters=outputs, groups=after if op.groups == before else op.groups)


@resized.register
def _(op: Depthwise, inputs: Sequence[tuple[int, int]], outputs: int) -> Op:
    return replace(op, filters=outputs)


@resized.register(AvgPool)
@resized.register(Contrastive)
@resized.register(Crop)
@resized.register(Dropout)
@resized.register(Empty)
@resized.register(LocalAvgPool)
@resized.register(MaxPool)
@resized.register(MaxPoolDepth)
@resized.register(Reorg)
@resized.register(Reorg3d)
@resized.register(Route)
@resized.register(Sam)
@resized.register(ScaleChannels)
@resized.register(Shortcut)
@resized.register(SqueezeExcite)
@resized.register(Upsample)
@resized.register(Yolo)
def _(op: Op, inputs: Sequence[tuple[int, int]], outputs: int) -> Op:
    return op
