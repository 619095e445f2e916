"""Sections -> graph: which layers a cfg has, and what each reads (AlexeyAB's Darknet, parser.c)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from yoloslim.cfg.options import Options, kind_of, unknown_keys
from yoloslim.cfg.sections import Section, parse_sections, read_sections
from yoloslim.errors import CfgError
from yoloslim.graph.graph import IMAGE, Graph, Node, node_name
from yoloslim.graph.ops import Shape, Yolo
from yoloslim.graph.read_op import read_op
from yoloslim.graph.shapes import node_shape

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

    Raises:
        CfgError: a section is unknown, malformed, or does not fit the ones before it.
    """
    if not sections or kind_of(sections[0]) != "net":
        line = sections[0].line if sections else 0
        raise CfgError("expected [net] as the first section", path=path, line=line)
    image = read_net(sections[0])
    nodes: list[Node] = []
    shapes = {IMAGE: image}
    for section in sections[1:]:
        inputs = _inputs(section, nodes)
        op = read_op(section, [shapes[name] for name in inputs])
        node = Node(node_name(len(nodes), kind_of(section)), op, inputs, section)
        shapes[node.name] = node_shape(node, [shapes[name] for name in inputs])
        nodes.append(node)
    if not nodes:
        raise sections[0].error("has no layers after it")
    _report_unknown_keys(sections)
    return Graph(tuple(nodes), image, sections[0])


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
    key = {"route": "layers", "shortcut": "from", "scale_channels": "from"}.get(kind)
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


def _report_unknown_keys(sections: Iterable[Section]) -> None:
    places: dict[str, int] = {}
    for section in sections:
        for key in unknown_keys(section):
            option = section.find(key)
            places.setdefault(f"[{section.name}] {key}", option.line if option else 0)
    if places:
        listed = ", ".join(f"{key} (line {line})" for key, line in places.items())
        _log.warning("%s: keys kept on writing but without effect here: %s", next(iter(sections)).path or "cfg", listed)
