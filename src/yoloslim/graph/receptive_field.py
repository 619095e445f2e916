"""How much of the picture one cell of a feature map depends on."""

from __future__ import annotations

import math
from functools import singledispatch
from typing import NamedTuple

from yoloslim.graph.graph import IMAGE, Graph, Node
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


class Window(NamedTuple):
    """What an op reads to give one cell.

    Attributes:
        size: cells across and down, those skipped by a dilation included; infinite for the whole map.
        stride_x: cells from one window to the next across; below 1 where an op enlarges.
        stride_y: the same down.
    """

    size: float = 1
    stride_x: float = 1
    stride_y: float = 1


class Field(NamedTuple):
    """What a cell of a feature map sees, pixels of the network's input.

    Attributes:
        width: infinite where it is the whole picture, whatever its size.
        step_x: from one cell to the next across.
        step_y: the same down.
    """

    width: float = 1
    height: float = 1
    step_x: float = 1
    step_y: float = 1


def receptive_fields(graph: Graph) -> dict[str, Field]:
    """Gives what a cell of every node's output depends on (Araujo et al., Computing Receptive Fields of CNNs, 2019).

    Fields go beyond the picture where a network sees more than that. Where several maps meet, the largest counts.
    The scales that squeeze-and-excitation multiplies with depend on everything and are left out; a map that
    ``[reorg]`` gives counts as one whose cells were moved to channels in place.
    """
    fields = {IMAGE: Field()}
    for node in graph:
        read = [fields[name] for name in _seen(node)]
        widest = Field(*(max(sides) for sides in zip(*read, strict=True)))
        fields[node.name] = _through(widest, window_of(node.op))
    return fields


def _seen(node: Node) -> tuple[str, ...]:
    return node.inputs[1:] if isinstance(node.op, ScaleChannels) and not node.op.spatial else node.inputs


def _through(field: Field, window: Window) -> Field:
    return Field(
        field.width + (window.size - 1) * field.step_x,
        field.height + (window.size - 1) * field.step_y,
        field.step_x * window.stride_x,
        field.step_y * window.stride_y,
    )


@singledispatch
def window_of(op: Op) -> Window:
    """Gives what an op reads of each of its inputs to give one cell."""
    raise TypeError(f"no window for {type(op).__name__}")


@window_of.register
def _(op: Convolution) -> Window:
    return Window(op.dilation * (op.size - 1) + _blurred(op), op.stride_x, op.stride_y)


@window_of.register
def _(op: Depthwise) -> Window:
    return Window(op.size, op.stride, op.stride)


@window_of.register
def _(op: MaxPool) -> Window:
    return Window(op.size - 1 + _blurred(op), op.stride_x, op.stride_y)


@window_of.register
def _(op: LocalAvgPool) -> Window:
    return Window(op.size, op.stride_x, op.stride_y)


def _blurred(op: Convolution | MaxPool) -> int:
    """Cells that the blur behind an op reads; 1 where there is none."""
    return max(1, op.blur)


@window_of.register
def _(op: AvgPool) -> Window:
    return Window(math.inf)


@window_of.register
def _(op: Upsample) -> Window:
    return Window(1, 1 / op.stride, 1 / op.stride)


@window_of.register(Reorg)
@window_of.register(Reorg3d)
def _(op: Reorg | Reorg3d) -> Window:
    return Window(op.stride, op.stride, op.stride)


@window_of.register(Contrastive)
@window_of.register(Crop)
@window_of.register(Dropout)
@window_of.register(Empty)
@window_of.register(MaxPoolDepth)
@window_of.register(Route)
@window_of.register(Sam)
@window_of.register(ScaleChannels)
@window_of.register(Shortcut)
@window_of.register(SqueezeExcite)
@window_of.register(Yolo)
def _(op: Op) -> Window:
    return Window()
