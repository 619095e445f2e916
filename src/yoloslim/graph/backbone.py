"""Where the backbone of a detector ends and its head begins, from the graph alone.

The *trunk* is what every path through the coarsest map has in common, before anything is enlarged again; from one of
its nodes to the next is a *step*, be it one layer, a residual block or a pyramid of pools. The backbone goes beyond the
last step with a shortcut, up to the first that looks like a head: one that narrows the trunk, pools a map at several
sizes, takes cells of a finer map in by ``[reorg]``, or gives what a head reads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from yoloslim.graph.graph import IMAGE, Graph, Node
from yoloslim.graph.ops import (
    AvgPool,
    Convolution,
    MaxPool,
    Op,
    Reorg,
    Reorg3d,
    Route,
    ScaleChannels,
    Shape,
    Shortcut,
    SqueezeExcite,
    Upsample,
    is_depthwise,
)
from yoloslim.graph.shapes import infer_shapes


@dataclass(frozen=True, slots=True)
class _Step:
    """From one node of the trunk to the next.

    Attributes:
        inside: what lies between them, of finer maps too.
        widths: channels of both ends.
    """

    start: Node
    end: Node
    inside: tuple[Node, ...]
    widths: tuple[int, int]


def backbone_of(graph: Graph) -> frozenset[str]:
    """Gives the names of the nodes of the backbone; all, where a network has no heads.

    What a head looks like is a matter of widths, so that a pruned network may be parted elsewhere than before.
    """
    if not graph.heads:
        return frozenset(node.name for node in graph)
    return frozenset(_sources(graph, [backbone_end(graph)]) - {IMAGE})


def backbone_end(graph: Graph) -> str:
    """Gives the last node of the backbone of a network with heads; ``image`` where it has none."""
    steps, last = _trunk(graph)
    read = {name for node, _ in graph.heads for name in node.inputs}
    beyond = max((index + 1 for index, step in enumerate(steps) if _has(step, Shortcut)), default=0)
    for index in range(beyond, len(steps)):
        if steps[index].end.name in read or _begins_head(steps[index], steps[index + 1 :]):
            return steps[index].start.name
    return last


def _begins_head(step: _Step, later: Sequence[_Step]) -> bool:
    if _has(step, Reorg) or _has(step, Reorg3d) or any(isinstance(node.op, MaxPool) for node in step.inside):
        return True
    if not isinstance(step.end.op, Convolution) or _is_within_a_block(step.start.op):
        return False
    before, after = step.widths
    is_bottleneck = any(min(other.widths) >= before for other in later)  # those of Darknet-19 have no shortcut
    return (after < before and not is_bottleneck) or (after == before and step.end.op.size == 1)


def _is_within_a_block(op: Op) -> bool:
    """Whether blocks of every kind narrow what this op gives: channels joined, or filtered and scaled one by one."""
    return isinstance(op, Route | SqueezeExcite | ScaleChannels) or is_depthwise(op)


def _has(step: _Step, kind: type[Op]) -> bool:
    return any(isinstance(node.op, kind) for node in (*step.inside, step.end))


def _trunk(graph: Graph) -> tuple[tuple[_Step, ...], str]:
    """Gives the steps of the trunk, and the name of its last node."""
    shapes, ways = infer_shapes(graph), _ways_to_heads(graph)
    heads = {node.name for node, _ in graph.heads}
    enlarged = _fed_by(ways, [node.name for node in ways if isinstance(node.op, Upsample)])
    plain = [node.name for node in ways if node.name not in enlarged | heads]
    if not plain:
        return (), IMAGE
    cells = {name: shapes[name].height * shapes[name].width for name in plain}
    stage = [node for node in ways if cells.get(node.name) == min(cells.values())]
    first = stage[0].name
    ends = {name for node in ways if node not in stage for name in node.inputs} & _fed_by(stage, [first])
    trunk = [n for n in stage if ends.isdisjoint(_fed_by([m for m in stage if m is not n], [first]))]
    return tuple(_step(graph, shapes, *pair) for pair in pairwise(trunk)), trunk[-1].name


def _step(graph: Graph, shapes: Mapping[str, Shape], start: Node, end: Node) -> _Step:
    between = _sources(graph, end.inputs) - _sources(graph, [start.name])
    inside = tuple(node for node in graph if node.name in between)
    return _Step(start, end, inside, (shapes[start.name].channels, shapes[end.name].channels))


def _ways_to_heads(graph: Graph) -> list[Node]:
    """Gives the nodes that heads need, without the branches of squeeze-and-excitation, whose maps are one cell."""
    needed = _sources(graph, [node.name for node, _ in graph.heads])
    scales = set[str]()
    for node in graph:
        inputs = node.inputs[1:] if isinstance(node.op, ScaleChannels) else node.inputs
        if isinstance(node.op, AvgPool) or not scales.isdisjoint(inputs):
            scales.add(node.name)
    return [node for node in graph if node.name in needed - scales]


def _sources(graph: Graph, names: Iterable[str]) -> set[str]:
    """Gives the nodes that these need, themselves among them."""
    found = set(names)
    for node in reversed(graph.nodes):
        if node.name in found:
            found.update(node.inputs)
    return found


def _fed_by(nodes: Iterable[Node], names: Collection[str]) -> set[str]:
    """Gives those of the nodes that have one of these names, or need such a one by way of the others."""
    found = set[str]()
    for node in nodes:
        if node.name in names or not found.isdisjoint(node.inputs):
            found.add(node.name)
    return found
