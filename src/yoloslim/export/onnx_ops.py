"""Op -> ONNX nodes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

import numpy as np
import torch
from numpy.typing import NDArray

from yoloslim.errors import TargetError
from yoloslim.export.onnx_activations import activated
from yoloslim.export.onnx_writer import NodeWriter, Value
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
from yoloslim.graph.shapes import sampling
from yoloslim.nn.layers.blur import TAPS
from yoloslim.nn.layers.conv_block import DARKNET_BN_EPS
from yoloslim.nn.layers.join import normalized
from yoloslim.nn.layers.resample import pool_padding

_CHANNELS = 1  # axis


@singledispatch
def to_onnx(op: Op, writer: NodeWriter, inputs: Sequence[Value]) -> str:
    """Writes an op in standard operators and gives the name of its output: that of the last one, or of an input."""
    raise TypeError(f"no ONNX form for {type(op).__name__}")


@to_onnx.register
def _(op: Convolution, writer: NodeWriter, inputs: Sequence[Value]) -> str:
    weight, bias = folded_weights(writer) if op.batch_norm else map(writer.tensor, ("conv.weight", "conv.bias"))
    y = writer.add(
        "Conv",
        inputs[0].name,
        *writer.kernel(weight, bias),
        kernel_shape=(op.size, op.size),
        strides=op.strides,
        pads=(op.pad * op.dilation,) * 4,
        dilations=(op.dilation, op.dilation),
        group=op.groups,
    )
    return _blurred(writer, activated(writer, writer.sums(y), op.activation), op, op.filters)


@to_onnx.register
def _(op: Depthwise, writer: NodeWriter, inputs: Sequence[Value]) -> str:
    return to_onnx(op.as_convolution(), writer, inputs)


@to_onnx.register
def _(op: SqueezeExcite, writer: NodeWriter, inputs: Sequence[Value]) -> str:
    x = inputs[0].name
    means = writer.add("GlobalAveragePool", x)
    hidden = writer.add("Conv", means, writer.weights("squeeze", writer.tensor("squeeze.weight")))
    excited = writer.add("Conv", writer.add("Relu", hidden), writer.weights("excite", writer.tensor("excite.weight")))
    return writer.add("Mul", x, writer.add("HardSigmoid", excited, alpha=1 / 6, beta=0.5))


@to_onnx.register
def _(op: MaxPool, writer: NodeWriter, inputs: Sequence[Value]) -> str:
    x, shape = inputs[0]
    pads = _pads(op, shape, op.strides)
    if max(pads) >= op.size:  # ONNX forbids it; Darknet gives the lowest float there, torch -inf
        raise TargetError(
            f"{writer.name}: padding={op.padding} puts whole windows of size={op.size} outside of the map"
        )
    y = writer.add("MaxPool", x, kernel_shape=(op.size, op.size), strides=op.strides, pads=pads)
    return _blurred(writer, y, op, shape.channels)


@to_onnx.register
def _(op: MaxPoolDepth, writer: NodeWriter, inputs: Sequence[Value]) -> str:
    x, (channels, height, width) = inputs[0]
    rows = -(-channels // op.out_channels)
    missing = rows * op.out_channels - channels
    if missing:
        x = writer.add("Pad", x, writer.integers(0, 0, 0, 0, 0, missing, 0, 0), writer.number(float("-inf")))
    rows_apart = writer.add("Reshape", x, writer.integers(0, rows, op.out_channels, height, width))
    return writer.add("ReduceMax", rows_apart, axes=(1,), keepdims=0)


@to_onnx.register
def _(op: LocalAvgPool, writer: NodeWriter, inputs: Sequence[Value]) -> str:
    strides = (op.stride_y, op.stride_x)
    pads = _pads(op, inputs[0].shape, strides)
    size = (op.size, op.size)
    return writer.add("AveragePool", inputs[0].name, kernel_shape=size, strides=strides, pads=pads)


@to_onnx.register
def _(op: AvgPool, writer: NodeWriter, inputs: Sequence[Value]) -> str:
    return writer.add("GlobalAveragePool", inputs[0].name)


@to_onnx.register
def _(op: Upsample, writer: NodeWriter, inputs: Sequence[Value]) -> str:
    scales = writer.factors(1, 1, op.stride, op.stride)
    how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    y = writer.add("Resize", inputs[0].name, "", scales, **how)
    return y if op.scale == 1.0 else writer.add("Mul", y, writer.number(op.scale))


@to_onnx.register
def _(op: Reorg, writer: NodeWriter, inputs: Sequence[Value]) -> str:
    x, (channels, height, width) = inputs[0]
    s = op.stride
    wide = writer.add("Reshape", x, writer.integers(0, channels // s**2, height * s, width * s))
    moved = writer.add("SpaceToDepth", wide, blocksize=s)
    return writer.add("Reshape", moved, writer.integers(0, channels * s**2, height // s, width // s))


@to_onnx.register
def _(op: Reorg3d, writer: NodeWriter, inputs: Sequence[Value]) -> str:
    return writer.add("SpaceToDepth", inputs[0].name, blocksize=op.stride)


@to_onnx.register
def _(op: Route, writer: NodeWriter, inputs: Sequence[Value]) -> str:
    parts = [_part(writer, value, op) for value in inputs]
    return parts[0] if len(parts) == 1 else writer.add("Concat", *parts, axis=_CHANNELS)


@to_onnx.register
def _(op: Shortcut, writer: NodeWriter, inputs: Sequence[Value]) -> str:
    first = inputs[0].shape
    terms = [_in_channels(writer, _sampled(writer, value, first), first.channels) for value in inputs]
    if op.weights != "none":
        factors = normalized(torch.from_numpy(writer.tensor("weights")), op.normalization).numpy()
        shaped = factors.reshape(len(inputs), -1, 1, 1)
        constants = [writer.weights(f"weight_{index}", factor) for index, factor in enumerate(shaped)]
        terms = [writer.add("Mul", term, constant) for term, constant in zip(terms, constants, strict=True)]
    total, *others = terms
    for term in others:
        total = writer.add("Add", total, term)
    return activated(writer, total, op.activation)


@to_onnx.register
def _(op: Sam, writer: NodeWriter, inputs: Sequence[Value]) -> str:
    return activated(writer, writer.add("Mul", inputs[0].name, inputs[1].name), op.activation)


@to_onnx.register
def _(op: ScaleChannels, writer: NodeWriter, inputs: Sequence[Value]) -> str:
    scales, features = inputs
    return activated(writer, writer.add("Mul", features.name, scales.name), op.activation)


@to_onnx.register
def _(op: Crop, writer: NodeWriter, inputs: Sequence[Value]) -> str:
    x, (_, height, width) = inputs[0]
    top, left = (height - op.height) // 2, (width - op.width) // 2
    starts, ends = writer.integers(top, left), writer.integers(top + op.height, left + op.width)
    y = writer.add("Slice", x, starts, ends, writer.integers(2, 3))
    return writer.add("Sub", writer.add("Mul", y, writer.number(2.0)), writer.number(1.0)) if op.scaled else y


@to_onnx.register(Contrastive)
@to_onnx.register(Dropout)
@to_onnx.register(Empty)
def _(op: Op, writer: NodeWriter, inputs: Sequence[Value]) -> str:
    return inputs[0].name


@to_onnx.register
def _(op: Yolo, writer: NodeWriter, inputs: Sequence[Value]) -> str:
    x, (channels, height, width) = inputs[0]
    anchors = len(op.mask)
    shape = writer.integers(0, anchors, channels // anchors, height, width)  # 0 leaves the batch as it is
    return writer.add("Transpose", writer.add("Reshape", x, shape), perm=(0, 1, 3, 4, 2))


def folded_weights(writer: NodeWriter) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gives weight and bias of the convolution that does its batch-norm's work too, computed in float64."""
    scale = writer.tensor("norm.weight") / np.sqrt(writer.tensor("norm.running_var") + DARKNET_BN_EPS)
    bias = writer.tensor("norm.bias") - writer.tensor("norm.running_mean") * scale
    return writer.tensor("conv.weight") * scale[:, None, None, None], bias


def _pads(op: MaxPool | LocalAvgPool, shape: Shape, strides: tuple[int, int]) -> tuple[int, int, int, int]:
    """Cells above, left, below and right that windows really reach."""
    top, bottom = pool_padding(op, shape.height, strides[0])
    left, right = pool_padding(op, shape.width, strides[1])
    return top, left, bottom, right


def _blurred(writer: NodeWriter, x: str, op: Convolution | MaxPool, channels: int) -> str:
    if not op.blur:
        return x
    kernel = np.tile(np.outer(TAPS[op.blur], TAPS[op.blur]), (channels, 1, 1, 1))
    return writer.add(
        "Conv",
        x,
        writer.weights(f"blur_{op.blur}", kernel),
        kernel_shape=(op.blur, op.blur),
        strides=(op.stride_y, op.stride_x),
        pads=((op.blur - 1) // 2,) * 4,
        group=channels,
    )


def _part(writer: NodeWriter, value: Value, op: Route) -> str:
    if op.groups == 1:
        return value.name
    count = value.shape.channels // op.groups
    return _channels(writer, value.name, op.group_id * count, (op.group_id + 1) * count)


def _sampled(writer: NodeWriter, value: Value, first: Shape) -> Value:
    """The cells of a map that a shortcut adds to one of the shape ``first``."""
    step = sampling(first, value.shape)
    if step == 1:
        return value
    ends = writer.integers(value.shape.height, value.shape.width)
    axes, steps = writer.integers(2, 3), writer.integers(step, step)
    name = writer.add("Slice", value.name, writer.integers(0, 0), ends, axes, steps)
    return Value(name, Shape(value.shape.channels, *first[1:]))


def _in_channels(writer: NodeWriter, value: Value, channels: int) -> str:
    """The first ``channels`` of a map, or the map and zeros behind it."""
    missing = channels - value.shape.channels
    if missing < 0:
        return _channels(writer, value.name, 0, channels)
    return writer.add("Pad", value.name, writer.integers(0, 0, 0, 0, 0, missing, 0, 0)) if missing else value.name


def _channels(writer: NodeWriter, x: str, first: int, end: int) -> str:
    return writer.add("Slice", x, writer.integers(first), writer.integers(end), writer.integers(_CHANNELS))
