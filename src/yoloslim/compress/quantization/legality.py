"""What a target cannot run of a network, layer by layer, and what to write in its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple

from yoloslim.compress.quantization.targets import Target, find_target
from yoloslim.graph.graph import Graph, Node
from yoloslim.graph.lint import Finding, Fix
from yoloslim.graph.ops import (
    Convolution,
    MaxPool,
    Op,
    Reorg,
    Reorg3d,
    Route,
    ScaleChannels,
    Shortcut,
    SqueezeExcite,
    Upsample,
    Yolo,
)

_TUNE = "and fine-tune"
_INSTEAD: dict[type[Op], str] = {
    SqueezeExcite: f"leave it out {_TUNE}",
    ScaleChannels: f"leave the branch of scales out {_TUNE}",
    Reorg: f"put a convolution of stride 2 there {_TUNE}",
    Reorg3d: f"put a convolution of stride 2 there {_TUNE}",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """One thing that a target cannot run.

    Attributes:
        problem: what it is, as in ``cannot run ...``.
        rewrite: what to write in its place.
        key: of the section, where one is to blame.
        fixes: keys and values that make up the rewrite, with the nodes that they belong to, where it is no more.
    """

    node: Node
    problem: str
    rewrite: str
    key: str = ""
    fixes: tuple[tuple[Node, str, str], ...] = ()


def refusals(graph: Graph, target: Target) -> list[Refusal]:
    """Gives what a target cannot run of a network, in its order."""
    return [refusal for node in graph for refusal in _refused(graph, node, target)]


def _refused(graph: Graph, node: Node, target: Target) -> Iterator[Refusal]:
    if target.ops is not None and type(node.op) not in target.ops:
        text = _INSTEAD.get(type(node.op), f"leave them out {_TUNE}")
        yield Refusal(node, f"{type(node.op).__name__} layers", text)
        return
    yield from _activation(graph, node, target)
    yield from _windows(graph, node, target)
    yield from _factors(node, target)


def findings(graph: Graph, name: str) -> Iterator[Finding]:
    """Yields the same as problems of the cfg that the network was read from, with the lines that would mend them.

    Raises:
        RecipeError: no target has that name.
    """
    for refusal in refusals(graph, find_target(name)):
        section = refusal.node.section
        text = f"({refusal.node.name}) {name} cannot run {refusal.problem}: {refusal.rewrite}"
        error = section.error(text, key=refusal.key)
        first, *others = _lines(refusal) or [None]
        yield Finding(error.line, section.name, refusal.key, error.message, "error", first)
        text = f"({refusal.node.name}) reads this, and is to read another map"
        yield from (Finding(fix.line, "", "", text, "error", fix) for fix in others if fix)


def _lines(refusal: Refusal) -> list[Fix | None]:
    """The lines that make up a rewrite; none where one of them is not there to be changed."""
    options = [(node.section.find(key), value) for node, key, value in refusal.fixes]
    fixes = [Fix(option.line, f"{option.key}={value}") if option else None for option, value in options]
    return fixes if all(fixes) else []


def _activation(graph: Graph, node: Node, target: Target) -> Iterator[Refusal]:
    """What a layer computes of its sums: of a shortcut, what can follow the rounding; before a head, nothing."""
    name = getattr(node.op, "activation", "linear")
    known = target.activation_names
    if known is None:
        return
    readers = [other.op for other in graph if node.name in other.inputs]
    is_head = bool(readers) and isinstance(node.op, Convolution) and all(isinstance(op, Yolo) for op in readers)
    able = frozenset({"linear"}) if is_head else known - {"leaky"} if isinstance(node.op, Shortcut) else known
    if name in able:
        return
    best = "linear" if is_head else "relu" if isinstance(node.op, Shortcut) else "leaky"
    text = f"activation={name} (it has {', '.join(sorted(able))})"
    yield Refusal(node, text, f"write activation={best} {_TUNE}", "activation", ((node, "activation", best),))


def _windows(graph: Graph, node: Node, target: Target) -> Iterator[Refusal]:
    """Windows of pooling that are too large; a smaller pooling of the same map does part of their work."""
    if not isinstance(node.op, MaxPool) or not target.max_pool or node.op.size <= target.max_pool:
        return
    text = f"pooling windows of {node.op.size}, above {target.max_pool}"
    start = _start(graph, node, node.op, target.max_pool)
    if start is None:
        rewrite = "pool with smaller windows several times in a row, which gives the same values"
        yield Refusal(node, text, rewrite, "size")
        return
    names = [each.name for each in graph]
    route, rest = graph[node.inputs[0]], node.op.size - start.size + 1
    offset = names.index(start.name) - names.index(route.name)
    rewrite = f"pool what {start.name} gives (layers={offset}) with size={rest}, which gives the same values"
    yield Refusal(node, text, rewrite, "size", ((node, "size", str(rest)), (route, "layers", str(offset))))


class _Start(NamedTuple):
    """A pooling from which a larger one may go on."""

    name: str
    size: int


def _start(graph: Graph, node: Node, op: MaxPool, most: int) -> _Start | None:
    """The largest pooling before a node that reads the same map, by a route of its own, and leaves a legal rest."""
    source = _source(graph, node)
    readers = [each for each in graph if node.inputs[0] in each.inputs]
    if source == node.inputs[0] or len(readers) > 1 or not _keeps_size(op):
        return None
    found = [
        _Start(other.name, other.op.size)
        for other in takewhile(lambda each: each is not node, graph)
        if isinstance(other.op, MaxPool) and _source(graph, other) == source and _keeps_size(other.op)
    ]
    able = [start for start in found if 0 < op.size - start.size < most]
    return max(able, key=lambda start: start.size, default=None)


def _source(graph: Graph, node: Node) -> str:
    """The map that a node reads, behind a route that only names it."""
    name = node.inputs[0]
    found = next((each for each in graph if each.name == name), None)
    is_name = found is not None and found.op == Route() and len(found.inputs) == 1
    return found.inputs[0] if found is not None and is_name else name


def _keeps_size(op: MaxPool) -> bool:
    """Whether windows lie around each cell: two such in a row are one of the sum of both sizes, less 1."""
    return op.strides == (1, 1) and op.size % 2 == 1 and op.padding == op.size - 1 and not op.blur


def _factors(node: Node, target: Target) -> Iterator[Refusal]:
    """What multiplies by floats besides: blurs, weights of shortcuts, scales of enlargements."""
    if target.ops is None:
        return
    op = node.op
    if node.weights_of:
        text = "convolutions that share weights"
        yield Refusal(node, text, f"leave share_index out {_TUNE}", "share_index")
    if isinstance(op, Convolution | MaxPool) and op.blur:
        yield Refusal(node, "antialiasing", f"leave it out {_TUNE}", "antialiasing")
    if isinstance(op, Shortcut) and op.weights != "none":
        yield Refusal(node, f"weights_type={op.weights}", f"leave it out {_TUNE}", "weights_type")
    if isinstance(op, Upsample) and op.scale != 1.0:
        yield Refusal(node, f"scale={op.scale:g}", f"write scale=1 {_TUNE}", "scale", ((node, "scale", "1"),))
