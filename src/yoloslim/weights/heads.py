"""The same network for another number of classes: weights of one fit the other but for the head convolutions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from yoloslim.graph.graph import Graph, Node
from yoloslim.graph.ops import (
    AvgPool,
    Convolution,
    Crop,
    Dropout,
    Empty,
    LocalAvgPool,
    MaxPool,
    Op,
    Route,
    Upsample,
    Yolo,
)
from yoloslim.weights.layout import layers_with_weights

MAX_CLASSES = 65536
"""Most classes of a head, as the cfg schema has it."""


def head_convolutions(graph: Graph) -> dict[str, Yolo]:
    """Gives the convolutions whose filters follow from the number of classes, each with the head that it feeds.

    Empty where the class count can not be changed by itself: a head reads something else than a convolution, or the
    convolution feeds more than its head, or has the weights of one that feeds none.
    """
    readers = _readers(graph)
    found: dict[str, Yolo] = {}
    for node, yolo in graph.heads:
        source = _convolution_before(graph, node, readers)
        if source is None:
            return {}
        found[source] = yolo
    shared = [node.weights_of in found for node in graph if node.weights_of and node.name in found]
    return found if all(shared) else {}


def first_head_index(graph: Graph) -> int:
    """Gives the index of the first layer that depends on the class count; it is a convolution before a head."""
    index = {node.name: place for place, node in enumerate(graph)}
    pending = [name for node, _ in graph.heads for name in node.inputs]
    first = len(graph)
    while pending:
        place = index.get(pending.pop(), len(graph))
        first = min(first, place)
        if place < len(graph) and not isinstance(graph.nodes[place].op, Convolution):
            pending.extend(graph.nodes[place].inputs)
    return first


def with_classes(graph: Graph, classes: int) -> Graph:
    """Gives the network with another number of classes: its heads, and the convolutions that feed them."""
    convolutions = head_convolutions(graph)

    def changed(node: Node) -> Op:
        if isinstance(node.op, Yolo):
            return replace(node.op, classes=classes)
        if isinstance(node.op, Convolution) and node.name in convolutions:
            return replace(node.op, filters=replace(convolutions[node.name], classes=classes).channels)
        return node.op

    return replace(graph, nodes=tuple(replace(node, op=changed(node)) for node in graph))


def classes_for_floats(graph: Graph, floats: int) -> int | None:
    """Gives the number of classes at which the network has exactly that many floats, None if there is none."""
    if not head_convolutions(graph):
        return None
    of_one, of_two = (_floats(with_classes(graph, classes)) for classes in (1, 2))
    more, rest = divmod(floats - of_one, of_two - of_one)
    return 1 + more if rest == 0 and 0 <= more < MAX_CLASSES else None


def classes_for_filters(graph: Graph, filters: Mapping[str, int]) -> int | None:
    """Gives the number of classes at which the head convolutions have these filters, None if there is none.

    Args:
        filters: number of filters by node; nodes that are no head convolutions are ignored.
    """
    counts = set()
    for name, yolo in head_convolutions(graph).items():
        each, rest = divmod(filters.get(name, 0), len(yolo.mask))
        counts.add(each - (yolo.values - yolo.classes) if rest == 0 else 0)
    classes = counts.pop() if len(counts) == 1 else 0
    return classes if 1 <= classes <= MAX_CLASSES else None


def _floats(graph: Graph) -> int:
    return sum(layer.floats for layer in layers_with_weights(graph))


def _readers(graph: Graph) -> dict[str, int]:
    readers = dict.fromkeys((node.name for node in graph), 0)
    for name in (name for node in graph for name in node.inputs if name in readers):
        readers[name] += 1
    return readers


def _convolution_before(graph: Graph, node: Node, readers: Mapping[str, int]) -> str | None:
    """The convolution that a node reads, through nothing but nodes that keep every channel for it alone."""
    nodes = {other.name: other for other in graph}
    while len(node.inputs) == 1 and readers.get(node.inputs[0]) == 1:
        node = nodes[node.inputs[0]]
        if isinstance(node.op, Convolution):
            return node.name
        if not _keeps_channels(node.op):
            return None
    return None


def _keeps_channels(op: Op) -> bool:
    passes = isinstance(op, AvgPool | Crop | Dropout | Empty | LocalAvgPool | MaxPool | Upsample)
    return passes or (isinstance(op, Route) and op.groups == 1)
