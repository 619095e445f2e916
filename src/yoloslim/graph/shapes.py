"""The shape of every feature map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import singledispatch

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
    Shape,
    Shortcut,
    SqueezeExcite,
    Upsample,
    Yolo,
)

_PROBE = 128 * 3 * 5 * 7  # pixels: strides up to 10 and their products divide it

MAX_CHANNELS = 1 << 20
MAX_SIDE = 1 << 20
"""Beyond these a map is a mistake of the cfg: a chain of routes doubles its channels with every layer."""


def infer_shapes(graph: Graph) -> dict[str, Shape]:
    """Gives the output shape of every node, and of ``image``.

    Raises:
        CfgError: shapes do not fit together; points at the section.
    """
    shapes = {IMAGE: graph.input_shape}
    for node in graph:
        shapes[node.name] = node_shape(node, [shapes[name] for name in node.inputs])
    return shapes


def node_shape(node: Node, inputs: Sequence[Shape]) -> Shape:
    """Gives the output shape of one node.

    Raises:
        CfgError: the inputs do not fit the node, or its output would be empty or huge; points at the section.
    """
    try:
        shape = output_shape(node.op, inputs)
    except ValueError as problem:
        raise node.section.error(f"(layer {node.name}) {problem}") from problem
    if min(shape) < 1:
        text = f"(layer {node.name}) gives an empty map, {_text(shape)}; the network's input is too small"
        raise node.section.error(text)
    if shape.channels > MAX_CHANNELS or max(shape[1:]) > MAX_SIDE:
        most = f"expected at most {MAX_CHANNELS} channels and sides of {MAX_SIDE}"
        raise node.section.error(f"(layer {node.name}) gives a map of {_text(shape)}; {most}")
    return shape


@singledispatch
def output_shape(op: Op, inputs: Sequence[Shape]) -> Shape:
    """Gives the shape of an op's output.

    Raises:
        ValueError: the inputs do not fit the op.
    """
    raise TypeError(f"no shape rule for {type(op).__name__}")


@output_shape.register
def _(op: Convolution, inputs: Sequence[Shape]) -> Shape:
    channels, height, width = inputs[0]
    if channels % op.groups or op.filters % op.groups:
        raise ValueError(f"groups={op.groups} does not divide {channels} input channels and filters={op.filters}")
    span, pad, (down, across) = op.dilation * (op.size - 1) + 1, op.pad * op.dilation, op.strides
    convolved = Shape(op.filters, _windows(height, span, down, 2 * pad), _windows(width, span, across, 2 * pad))
    return _blurred(convolved, op)


@output_shape.register
def _(op: Depthwise, inputs: Sequence[Shape]) -> Shape:
    channels, height, width = inputs[0]
    if op.filters != channels:
        raise ValueError(f"filters={op.filters} must equal the {channels} input channels")
    return Shape(channels, *(_windows(side, op.size, op.stride, 2 * op.pad) for side in (height, width)))


@output_shape.register
def _(op: MaxPool, inputs: Sequence[Shape]) -> Shape:
    channels, height, width = inputs[0]
    down, across = op.strides
    rows, columns = _windows(height, op.size, down, op.padding), _windows(width, op.size, across, op.padding)
    return _blurred(Shape(channels, rows, columns), op)


@output_shape.register
def _(op: MaxPoolDepth, inputs: Sequence[Shape]) -> Shape:
    if op.out_channels > inputs[0].channels:
        raise ValueError(f"out_channels={op.out_channels} is more than the {inputs[0].channels} input channels")
    return Shape(op.out_channels, *inputs[0][1:])


@output_shape.register
def _(op: LocalAvgPool, inputs: Sequence[Shape]) -> Shape:
    channels, height, width = inputs[0]
    if op.padding >= 2 * op.size - 1:
        raise ValueError(f"padding={op.padding} puts whole windows of size={op.size} outside of the map")
    rows = _windows(height, op.size, op.stride_y, op.padding)
    return Shape(channels, rows, _windows(width, op.size, op.stride_x, op.padding))


@output_shape.register
def _(op: AvgPool, inputs: Sequence[Shape]) -> Shape:
    return Shape(inputs[0].channels, 1, 1)


@output_shape.register
def _(op: Upsample, inputs: Sequence[Shape]) -> Shape:
    channels, height, width = inputs[0]
    return Shape(channels, height * op.stride, width * op.stride)


@output_shape.register(Reorg)
@output_shape.register(Reorg3d)
def _(op: Reorg | Reorg3d, inputs: Sequence[Shape]) -> Shape:
    channels, height, width = inputs[0]
    area = op.stride**2
    if height % op.stride or width % op.stride:
        raise ValueError(f"stride={op.stride} does not divide a map of {_text(inputs[0])}")
    if isinstance(op, Reorg) and channels % area:
        raise ValueError(f"needs a multiple of {area} input channels at stride={op.stride}, found {channels}")
    return Shape(channels * area, height // op.stride, width // op.stride)


@output_shape.register
def _(op: Route, inputs: Sequence[Shape]) -> Shape:
    _same_size(inputs)
    for shape in inputs:
        if shape.channels % op.groups:
            raise ValueError(f"groups={op.groups} does not divide {shape.channels} input channels")
    return Shape(sum(shape.channels // op.groups for shape in inputs), *inputs[0][1:])


@output_shape.register
def _(op: Shortcut, inputs: Sequence[Shape]) -> Shape:
    for shape in inputs[1:]:
        sampling(inputs[0], shape)
    return inputs[0]


@output_shape.register
def _(op: ScaleChannels, inputs: Sequence[Shape]) -> Shape:
    if len(inputs) != 2:
        raise ValueError(f"needs one layer in from=, found {len(inputs) - 1}")
    scales, features = inputs
    expected = Shape(1, *features[1:]) if op.spatial else Shape(features.channels, 1, 1)
    if scales != expected:
        raise ValueError(f"needs scales of {_text(expected)} for a map of {_text(features)}, found {_text(scales)}")
    return features


@output_shape.register
def _(op: Sam, inputs: Sequence[Shape]) -> Shape:
    if len(inputs) != 2 or inputs[0] != inputs[1]:
        raise ValueError(f"needs one layer in from= of its own shape, found {' and '.join(map(_text, inputs))}")
    return inputs[0]


@output_shape.register
def _(op: Crop, inputs: Sequence[Shape]) -> Shape:
    channels, height, width = inputs[0]
    if op.height > height or op.width > width:
        raise ValueError(f"cuts {op.width}x{op.height} cells out of a map of {width}x{height}")
    return Shape(channels, op.height, op.width)


@output_shape.register(Contrastive)
@output_shape.register(Dropout)
@output_shape.register(Empty)
@output_shape.register(SqueezeExcite)
def _(op: Op, inputs: Sequence[Shape]) -> Shape:
    return inputs[0]


@output_shape.register
def _(op: Yolo, inputs: Sequence[Shape]) -> Shape:
    found = inputs[0].channels
    if found != op.channels:
        need = f"{len(op.mask)} anchors x ({op.values - op.classes} + {op.classes} classes) = {op.channels}"
        raise ValueError(f"needs {need} input channels, found {found}; set filters= before it, or classes= and mask=")
    return inputs[0]


def largest_stride(graph: Graph) -> int:
    """Gives the number of pixels that width and height of the network's input must be multiples of.

    That is the least common multiple of the strides of all its feature maps, global pools left out.
    """
    shapes = infer_shapes(graph.with_size(_PROBE, _PROBE)).values()
    return math.lcm(*(round(_PROBE / shape.height) for shape in shapes if shape.height > 1))


def convolved_shape(op: Convolution, shape: Shape) -> Shape:
    """Gives the shape of a convolution's map, which its blur has not made smaller yet."""
    return output_shape(replace(op, stride_x=1, stride_y=1, blur=0) if op.blur else op, [shape])


def sampling(first: Shape, other: Shape) -> int:
    """Gives the step at which a shortcut takes the cells of another map than its first, 1 for a map of its size.

    Raises:
        ValueError: the sides are no common multiple of the first's.
    """
    step = other.height // first.height
    if step < 1 or other[1:] != (step * first.height, step * first.width):
        _same_size((first, other))
    return step


def _blurred(shape: Shape, op: Convolution | MaxPool) -> Shape:
    if not op.blur:
        return shape
    padding = 2 * ((op.blur - 1) // 2)
    rows, columns = (
        _windows(side, op.blur, stride, padding)
        for side, stride in ((shape.height, op.stride_y), (shape.width, op.stride_x))
    )
    return Shape(shape.channels, rows, columns)


def _windows(side: int, size: int, stride: int, padding: int) -> int:
    return (side + padding - size) // stride + 1


def _same_size(inputs: Sequence[Shape]) -> None:
    if len({shape[1:] for shape in inputs}) > 1:
        raise ValueError(f"joins maps of different sizes: {', '.join(_text(shape) for shape in inputs)}")


def _text(shape: Shape) -> str:
    return "x".join(str(side) for side in shape)
