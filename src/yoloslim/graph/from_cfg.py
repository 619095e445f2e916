"""Sections -> graph: which layers a cfg has, and what each reads (AlexeyAB's Darknet, parser.c)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from yoloslim.cfg.options import Options, full_name, idle_keys, kind_of, unknown_keys
from yoloslim.cfg.schema import HEAD_SECTIONS, IDLE_SECTIONS, NOT_SHARED, TAIL_SECTIONS
from yoloslim.cfg.sections import Section, parse_sections, read_sections
from yoloslim.errors import CfgError
from yoloslim.graph.graph import IMAGE, Graph, Node, node_name
from yoloslim.graph.ops import Convolution, Op, Shape, Shortcut, Yolo
from yoloslim.graph.read_op import read_op
from yoloslim.graph.shapes import node_shape, sampling

_log = logging.getLogger(__name__)


def read_cfg(path: str | Path) -> Graph:
    """Gives the network that a cfg file describes.

    Raises:
        CfgError: the file cannot be read or honoured; says where and why.
    """
    return from_sections(read_sections(path), str(path))


def parse_cfg(text: str, path: str = "") -> Graph:
    """Gives the network that a cfg text describes; ``path`` is only for messages."""
    return from_sections(parse_sections(text, path), path)


def from_sections(sections: Sequence[Section], path: str = "") -> Graph:
    """Gives the network of ``[net]`` and the layers after it, with every shape checked; ``path`` is only for messages.

    Of a classifier, which has no heads, it is the backbone: the layers before ``[softmax]`` and the like.

    Raises:
        CfgError: a section is unknown, cannot be honoured, is malformed, or does not fit the ones before it.
    """
    if not sections or kind_of(sections[0]) != "net":
        line = sections[0].line if sections else 0
        raise CfgError("expected [net] as the first section", path=path, line=line)
    layers, tail = without_tail(sections[1:])
    kinds = [kind_of(section) for section in layers]  # what cannot be honoured is told before what [net] lacks
    image = read_net(sections[0])
    nodes: list[Node] = []
    shapes = {IMAGE: image}
    for section, kind in zip(layers, kinds, strict=True):
        inputs = _inputs(section, nodes)
        op = read_op(section, [shapes[name] for name in inputs])
        owner = _weights_owner(section, op, shapes[inputs[0]].channels, nodes, shapes)
        node = Node(node_name(len(nodes), kind), op, inputs, section, owner)
        shapes[node.name] = node_shape(node, [shapes[name] for name in inputs])
        nodes.append(node)
    if not nodes:
        raise sections[0].error("has no layers after it")
    _report_without_effect((sections[0], *layers), tail)
    _report_sampled(nodes, shapes)
    return Graph(tuple(nodes), image, sections[0], tail)


def without_tail(layers: Sequence[Section]) -> tuple[tuple[Section, ...], tuple[Section, ...]]:
    """Gives the layers that take part, and those at the end of a classifier, which do not."""
    names = [full_name(section) for section in layers]
    if HEAD_SECTIONS.isdisjoint(names):
        end = next((index for index, name in enumerate(names) if name in TAIL_SECTIONS), len(names))
        return tuple(layers[:end]), tuple(layers[end:])
    return tuple(layers), ()


def read_net(section: Section) -> Shape:
    """Gives the shape of the picture that a ``[net]`` asks for.

    Raises:
        CfgError: a value is missing, malformed or out of range.
    """
    net = Options(section)
    return Shape(net.integer("channels"), net.integer("height"), net.integer("width"))


def references(section: Section, index: int) -> tuple[int, ...]:
    """Gives the indices of the layers that layer ``index`` reads; -1 is the network's input.

    Raises:
        CfgError: a reference points before the first layer or not before this one.
    """
    kind = kind_of(section)
    key = {"route": "layers", "shortcut": "from", "scale_channels": "from", "sam": "from"}.get(kind)
    if key is None:
        return (index - 1,)
    options = Options(section)
    written = options.integers(key)
    resolved = tuple(_resolve(section, key, value, index) for value in written)
    return resolved if kind == "route" else (index - 1, *resolved)


def _resolve(section: Section, key: str, value: int, index: int) -> int:
    target = index + value if value < 0 else value
    if target < 0:
        raise section.error(f"{key}={value} points before the first layer (this is layer {index})", key=key)
    if target >= index:
        raise section.error(f"{key}={value} points at layer {target}, not before this one (layer {index})", key=key)
    return target


def _inputs(section: Section, nodes: Sequence[Node]) -> tuple[str, ...]:
    indices = references(section, len(nodes))
    for source in (nodes[index] for index in indices if index >= 0):
        if isinstance(source.op, Yolo):
            raise reads_boxes(section, len(nodes), source.name)
    return tuple(nodes[index].name if index >= 0 else IMAGE for index in indices)


def reads_boxes(section: Section, index: int, head: str) -> CfgError:
    """Gives the error of a layer that reads a head."""
    reads = f"(layer {index}) reads {head}, which gives boxes"
    return section.error(f"{reads}; put a [route] to another layer before it")


def shared_index(section: Section, index: int) -> int | None:
    """Gives the index of the layer whose weights layer ``index`` uses, None for its own.

    Raises:
        CfgError: the reference points before the first layer or not before this one.
    """
    if kind_of(section) != "convolutional":
        return None
    written = Options(section).integer("share_index")
    return None if written == NOT_SHARED else _resolve(section, "share_index", written, index)


def check_shared(section: Section, op: Op, channels: int, owner: Op | None, owner_channels: int) -> None:
    """Checks that a convolution can use the weights of another layer.

    Args:
        channels: input channels of the convolution.
        owner: the other layer's op.
        owner_channels: input channels of the other layer.

    Raises:
        CfgError: the other layer is no convolution, or its weights have another shape.
    """
    if not isinstance(owner, Convolution):
        named = Options(section).integer("share_index")
        text = f"share_index={named} names no [convolutional]; name the one with the weights"
        raise section.error(text, key="share_index")
    assert isinstance(op, Convolution)
    for key in ("filters", "size", "groups", "batch_norm"):
        ours, theirs = getattr(op, key), getattr(owner, key)
        if ours != theirs:
            written = {"batch_norm": "batch_normalize"}.get(key, key)
            text = f"share_index: {written} is {int(ours)} here and {int(theirs)} in the layer with the weights"
            raise section.error(f"{text}; make them equal", key="share_index")
    if channels != owner_channels:
        text = f"share_index: reads {channels} channels, the layer with the weights {owner_channels}; make them equal"
        raise section.error(text, key="share_index")


def _weights_owner(section: Section, op: Op, channels: int, nodes: Sequence[Node], shapes: Mapping[str, Shape]) -> str:
    """The name of the node whose weights this section uses; empty for its own."""
    index = shared_index(section, len(nodes))
    if index is None:
        return ""
    owner = nodes[index]
    check_shared(section, op, channels, owner.op, shapes[owner.inputs[0]].channels)
    return owner.weights_of or owner.name


def _report_without_effect(sections: Sequence[Section], tail: Sequence[Section]) -> None:
    """Says once what is kept on writing and does nothing."""
    path = sections[0].path or "cfg"
    places: dict[str, int] = {}
    for section in sections:
        if kind_of(section) in IDLE_SECTIONS:
            places.setdefault(f"[{section.name}]", section.line)
        for key in (*unknown_keys(section), *idle_keys(section)):
            option = section.find(key)
            places.setdefault(f"[{section.name}] {key}", option.line if option else 0)
    if places:
        listed = ", ".join(f"{key} (line {line})" for key, line in places.items())
        _log.warning("%s: keys kept on writing but without effect here: %s", path, listed)
    if tail:
        place = f"[{tail[0].name}] (line {tail[0].line})"
        _log.warning("%s: the layers from %s on are a classifier's; those before it are its backbone", path, place)


def _report_sampled(nodes: Sequence[Node], shapes: Mapping[str, Shape]) -> None:
    """Says once which shortcuts leave cells out: ResNets mean it, a wrong ``from=`` does not."""
    shortcuts = (node for node in nodes if isinstance(node.op, Shortcut))
    lines = [
        str(node.section.line)
        for node in shortcuts
        if any(sampling(shapes[node.inputs[0]], shapes[name]) > 1 for name in node.inputs[1:])
    ]
    if lines:
        text = "shortcuts from larger maps, of which they add one cell of each square"
        _log.warning("%s: %s: line %s", nodes[0].section.path or "cfg", text, ", ".join(lines))
