"""Anchors in the text of a cfg: read as the heads use them, and written into any number of heads."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from yoloslim.cfg.sections import Section
from yoloslim.errors import CfgError
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.ops import Yolo
from yoloslim.graph.shapes import infer_shapes

Pairs = tuple[tuple[float, float], ...]

_VALUE = re.compile(r"^(?P<key>[^=]*=\s*)(?P<value>.*?)(?P<rest>(\s+[#;].*|\s*))$", re.DOTALL)
_CELL_DIGITS = 4  # of a [region] anchor behind the point


@dataclass(frozen=True, slots=True)
class Head:
    """One head of a network.

    Attributes:
        section: its ``[yolo]`` or ``[region]``.
        yolo: its op.
        stride: pixels of the input that a cell covers, across and down.
    """

    section: Section
    yolo: Yolo
    stride: tuple[float, float]


def heads_of(graph: Graph) -> tuple[Head, ...]:
    """Gives the heads of a network, those with the smallest cells first."""
    shapes, image = infer_shapes(graph), graph.input_shape
    heads = []
    for node, yolo in graph.heads:
        shape = shapes[node.inputs[0]]
        heads.append(Head(node.section, yolo, (image.width / shape.width, image.height / shape.height)))
    return tuple(sorted(heads, key=lambda head: math.prod(head.stride)))


def anchors_in_use(graph: Graph) -> Pairs:
    """Gives the anchors that the heads use, in pixels of the input, those of the head with the smallest cells first."""
    return tuple(pair for head in heads_of(graph) for pair in head.yolo.used_anchors(head.stride))


def with_anchors(text: str, anchors: Sequence[tuple[float, float]], path: str = "") -> str:
    """Gives a cfg text with other anchors; comments and all other lines stay as they are.

    The smallest anchors go to the head with the smallest cells, as many as each head has. ``[yolo]`` heads list all
    anchors and name theirs by ``mask``; ``[region]`` heads list their own, in cells.

    Args:
        text: of the cfg.
        anchors: (width, height) in pixels of the network's input, as many as the heads use together, in any order.
        path: the cfg, for messages.

    Raises:
        CfgError: the text is no cfg, the heads use another number of anchors, or an anchor has no area.
    """
    heads = heads_of(parse_cfg(text, path))
    needed = sum(len(head.yolo.mask) for head in heads)
    if len(anchors) != needed:
        raise CfgError(f"its {len(heads)} heads use {needed} anchors, found {len(anchors)} to write", path=path)
    for width, height in anchors:
        if not (0 < width < math.inf and 0 < height < math.inf):
            raise CfgError(f"anchor {width:g},{height:g} is no box and would fit nothing; not written", path=path)
    ordered = sorted(anchors, key=math.prod)
    lines = text.splitlines(keepends=True)
    first = 0
    for head in heads:
        mask = range(first, first + len(head.yolo.mask))
        first = mask.stop
        for key, value in _options(head, ordered, mask).items():
            _set_option(lines, head.section, key, value)
    return "".join(lines)


def _options(head: Head, anchors: Sequence[tuple[float, float]], mask: range) -> Mapping[str, str]:
    """Gives the values that say which anchors are a head's."""
    if head.yolo.region:
        across, down = head.stride
        own = [anchors[index] for index in mask]
        return {"anchors": _text([(_cells(width / across), _cells(height / down)) for width, height in own])}
    options = {"anchors": _text(anchors), "mask": ",".join(map(str, mask))}
    return options if head.section.find("num") is None else {**options, "num": str(len(anchors))}


def _cells(value: float) -> float:
    return max(round(value, _CELL_DIGITS), 10.0**-_CELL_DIGITS)


def _text(anchors: Sequence[tuple[float, float]]) -> str:
    return ", ".join(f"{width:.10g},{height:.10g}" for width, height in anchors)


def _set_option(lines: list[str], section: Section, key: str, value: str) -> None:
    """Changes a line of a section, in place; a key that is not there yet goes below the section's header."""
    option = section.find(key)
    if option is None:
        header = lines[section.line - 1]
        ending = header[len(header.rstrip("\r\n")) :]
        lines[section.line - 1] = f"{header}{key}={value}{ending}"
    else:
        lines[option.line - 1] = _VALUE.sub(rf"\g<key>{value}\g<rest>", lines[option.line - 1])
