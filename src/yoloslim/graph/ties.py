"""Why a channel stays: what it is the same channel as, through which layers, and what needs it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yoloslim.cfg.schema import MIXING_ACTIVATIONS
from yoloslim.graph.graph import IMAGE, Graph, Node
from yoloslim.graph.lanes import Lanes
from yoloslim.graph.ops import (
    Contrastive,
    Convolution,
    Depthwise,
    MaxPoolDepth,
    Reorg,
    Route,
    Sam,
    ScaleChannels,
    Shortcut,
    Yolo,
)


@dataclass(frozen=True, slots=True)
class Bond:
    """A layer that has something to do with the channels asked for.

    Attributes:
        node: its name.
        channels: how many of them.
        text: what it does with them.
    """

    node: str
    channels: int
    text: str


@dataclass(frozen=True, slots=True)
class Ties:
    """Everything that decides whether channels of a node may go.

    Attributes:
        channels: how many were asked for.
        writers: layers with weights that give these channels; they live and die together.
        joints: layers that make channels one.
        needs: what keeps channels for good.
        balanced: grouped layers in which others must go with them.
    """

    channels: int
    writers: tuple[Bond, ...]
    joints: tuple[Bond, ...]
    needs: tuple[Bond, ...]
    balanced: tuple[Bond, ...]


def ties_of(graph: Graph, lanes: Lanes, name: str, channels: Sequence[int] | None = None) -> Ties:
    """Gives the ties of all channels of a node, or of some, counted from 0.

    Raises:
        KeyError: there is no such node.
        IndexError: the node has no such channel.
    """
    of = lanes.of[name] if channels is None else lanes.of[name][list(channels)]
    asked = np.zeros(lanes.count, dtype=bool)
    asked[of] = True
    return Ties(
        len(of),
        tuple(_writers(graph, lanes, asked)),
        tuple(_joints(graph, lanes, asked)),
        tuple(_needs(graph, lanes, asked)),
        tuple(_balanced(graph, lanes, asked)),
    )


def channels_apart(graph: Graph, lanes: Lanes, name: str) -> tuple[tuple[int, ...], ...]:
    """Gives the channels of a node in sets that run through the same layers, each set ascending.

    Raises:
        KeyError: there is no such node.
    """
    own = lanes.of[name]
    runs_through = np.array([np.isin(own, lanes.of[node.name]) for node in graph])
    sets: dict[bytes, list[int]] = {}
    for channel, layers in enumerate(runs_through.T):
        sets.setdefault(layers.tobytes(), []).append(channel)
    return tuple(tuple(channels) for channels in sets.values())


def _writers(graph: Graph, lanes: Lanes, asked: NDArray[np.bool_]) -> Iterator[Bond]:
    for node in graph:
        count = int(asked[lanes.of[node.name]].sum())
        if count and isinstance(node.op, Convolution | Depthwise):
            yield Bond(node.name, count, f"{count} of its {len(lanes.of[node.name])} channels")


def _joints(graph: Graph, lanes: Lanes, asked: NDArray[np.bool_]) -> Iterator[Bond]:
    for node in graph:
        count = int(asked[lanes.of[node.name]].sum())
        if count and (
            isinstance(node.op, Sam | Shortcut) or (isinstance(node.op, ScaleChannels) and not node.op.spatial)
        ):
            yield Bond(node.name, count, f"ties them in {' and '.join(node.inputs)}")
        if node.weights_of and (count := count + int(asked[lanes.of[node.inputs[0]]].sum())):
            yield Bond(node.name, count, f"uses the weights of {node.weights_of}: what one loses the other loses")


def _needs(graph: Graph, lanes: Lanes, asked: NDArray[np.bool_]) -> Iterator[Bond]:
    if asked[lanes.of[IMAGE]].any():
        yield Bond(IMAGE, int(asked[lanes.of[IMAGE]].sum()), "is the picture itself")
    for node in graph:
        sources, text = _need(node)
        count = int(asked[np.concatenate([lanes.of[name] for name in sources])].sum()) if sources else 0
        if count:
            yield Bond(node.name, count, text)


def _need(node: Node) -> tuple[tuple[str, ...], str]:
    """The nodes whose outputs stay because of this one, and why (the rules of ``lanes_of``)."""
    op = node.op
    if isinstance(op, Yolo):
        return node.inputs, "reads them as boxes"
    if isinstance(op, Contrastive):
        return node.inputs, "tells tracked objects apart by them, in Darknet"
    if isinstance(op, MaxPoolDepth | Reorg):
        return (*node.inputs, node.name), "mixes them"
    if isinstance(op, ScaleChannels) and op.spatial:
        return node.inputs[:1], "reads them as one scale a cell"
    if isinstance(op, Convolution | Depthwise | Sam | Shortcut | ScaleChannels) and op.activation in MIXING_ACTIVATIONS:
        return (node.name,), f"activation={op.activation} mixes them"
    return (), ""


def _balanced(graph: Graph, lanes: Lanes, asked: NDArray[np.bool_]) -> Iterator[Bond]:
    for node in graph:
        op = node.op
        if not isinstance(op, Convolution | Route) or not 1 < op.groups < len(lanes.of[node.inputs[0]]):
            continue
        parted = node.inputs if isinstance(op, Route) else (*node.inputs, node.name)
        count = int(asked[np.concatenate([lanes.of[name] for name in parted])].sum())
        if count:
            yield Bond(node.name, count, f"splits channels in {op.groups} equal parts: as many go in each")
