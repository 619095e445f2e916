"""Sections -> graph: what each section means (AlexeyAB's Darknet, parser.c)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from yoloslim.cfg.options import Options, kind_of, unknown_keys
from yoloslim.cfg.sections import Section, parse_sections, read_sections
from yoloslim.errors import CfgError
from yoloslim.graph.graph import IMAGE, Graph, Node, node_name
from yoloslim.graph.ops import (
    AvgPool,
    Convolution,
    Depthwise,
    Dropout,
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
    Yolo,
)
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


def read_op(section: Section, inputs: Sequence[Shape]) -> Op:
    """Gives the op of one section, for inputs of these shapes.

    Raises:
        CfgError: a value is missing, malformed or out of range.
    """
    kind = kind_of(section)
    if kind not in _READERS:
        raise section.error("is not a layer; expected it once, as the first section")
    return _READERS[kind](Options(section), inputs)


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


def _convolution(options: Options, inputs: Sequence[Shape]) -> Convolution:
    size = options.integer("size")
    stride_x, stride_y = _strides(options)
    return Convolution(
        filters=options.integer("filters"),
        size=size,
        stride_x=stride_x,
        stride_y=stride_y,
        pad=size // 2 if options.flag("pad") else options.integer("padding"),
        dilation=1 if size == 1 else options.integer("dilation"),
        groups=options.integer("groups"),
        batch_norm=options.flag("batch_normalize"),
        activation=options.text("activation"),
    )


def _depthwise(options: Options, inputs: Sequence[Shape]) -> Depthwise:
    size = options.integer("size")
    return Depthwise(
        filters=options.integer("filters") if options.has("filters") else inputs[0].channels,
        size=size,
        stride=options.integer("stride"),
        pad=size // 2 if options.flag("pad") else 0,
        batch_norm=options.flag("batch_normalize"),
        activation=options.text("activation"),
    )


def _squeeze_excite(options: Options, inputs: Sequence[Shape]) -> SqueezeExcite:
    if options.has("hidden"):
        return SqueezeExcite(options.integer("hidden"))
    return SqueezeExcite(max(1, inputs[0].channels // options.integer("reduction")))


def _max_pool(options: Options, inputs: Sequence[Shape]) -> MaxPool:
    stride_x, stride_y = _strides(options)
    size = options.integer("size") if options.has("size") else options.integer("stride")
    padding = options.integer("padding") if options.has("padding") else size - 1
    return MaxPool(size, stride_x, stride_y, padding)


def _upsample(options: Options, inputs: Sequence[Shape]) -> Upsample:
    return Upsample(options.integer("stride"), options.number("scale"))


def _route(options: Options, inputs: Sequence[Shape]) -> Route:
    groups, group_id = options.integer("groups"), options.integer("group_id")
    if group_id >= groups:
        raise options.section.error(f"group_id={group_id} is not below groups={groups}", key="group_id")
    return Route(groups, group_id)


def _yolo(options: Options, inputs: Sequence[Shape]) -> Yolo:
    numbers = options.numbers("anchors")
    if len(numbers) % 2:
        text = f"anchors has {len(numbers)} numbers; expected width,height pairs"
        raise options.section.error(text, key="anchors")
    anchors = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    mask = options.integers("mask") if options.has("mask") else tuple(range(len(anchors)))
    if max(mask) >= len(anchors):
        text = f"mask={','.join(map(str, mask))} points beyond the {len(anchors)} anchors"
        raise options.section.error(text, key="mask")
    return Yolo(mask, anchors, options.integer("classes"), options.number("scale_x_y"), options.flag("new_coords"))


def _region(options: Options, inputs: Sequence[Shape]) -> Yolo:
    count = options.integer("num")
    numbers = options.numbers("anchors") if options.has("anchors") else (0.5,) * 2 * count  # region_layer.c
    if len(numbers) != 2 * count:
        text = f"anchors has {len(numbers)} numbers; expected width,height pairs for num={count}"
        raise options.section.error(text, key="anchors")
    anchors = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    score: Literal["logistic", "softmax"] = "softmax" if options.flag("softmax") else "logistic"
    return Yolo(
        mask=tuple(range(count)),
        anchors=anchors,
        classes=options.integer("classes"),
        region=True,
        class_score="tree" if options.has("tree") else score,
    )


def _strides(options: Options) -> tuple[int, int]:
    both = options.integer("stride")
    across, down = options.integer("stride_x"), options.integer("stride_y")
    return across if across > 0 else both, down if down > 0 else both


_READERS: dict[str, Callable[[Options, Sequence[Shape]], Op]] = {
    "convolutional": _convolution,
    "depthwise": _depthwise,
    "se": _squeeze_excite,
    "maxpool": _max_pool,
    "avgpool": lambda options, inputs: AvgPool(),
    "upsample": _upsample,
    "reorg": lambda options, inputs: Reorg(options.integer("stride")),
    "reorg3d": lambda options, inputs: Reorg3d(options.integer("stride")),
    "route": _route,
    "shortcut": lambda options, inputs: Shortcut(options.text("activation")),
    "scale_channels": lambda options, inputs: ScaleChannels(options.text("activation"), options.flag("scale_wh")),
    "dropout": lambda options, inputs: Dropout(options.number("probability")),
    "yolo": _yolo,
    "region": _region,
}


def _report_unknown_keys(sections: Iterable[Section]) -> None:
    places: dict[str, int] = {}
    for section in sections:
        for key in unknown_keys(section):
            option = section.find(key)
            places.setdefault(f"[{section.name}] {key}", option.line if option else 0)
    if places:
        listed = ", ".join(f"{key} (line {line})" for key, line in places.items())
        _log.warning("%s: keys kept on writing but without effect here: %s", next(iter(sections)).path or "cfg", listed)
