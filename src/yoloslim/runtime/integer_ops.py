"""Codes in, codes out: what every op computes in whole numbers, with numpy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import singledispatch
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yoloslim.compress.quantization.shifts import SUM_LIMIT, ShiftedNetwork, nearest_codes
from yoloslim.errors import TargetError
from yoloslim.graph.graph import Node
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
from yoloslim.graph.shapes import output_shape, sampling

Map = NDArray[np.int32]
"""Codes, or sums that go to a head, shape (B, C, H, W)."""

_FLOAT32_LIMIT = 2**24  # whole numbers up to here are exact in float32, in any order of adding


class Windows(NamedTuple):
    """How a layer looks at its map.

    Attributes:
        size: of a window, cells.
        strides: down and across.
        dilation: cells from one to the next of a window.
        before: cells outside of the map above and left of it.
    """

    size: int
    strides: tuple[int, int]
    dilation: int
    before: int


@singledispatch
def on_codes(op: Op, node: Node, network: ShiftedNetwork, inputs: Sequence[Map]) -> Map:
    """Gives the codes, or the sums, of a node.

    Raises:
        TargetError: the op is not computed in whole numbers.
    """
    raise TypeError(f"no integer form for {type(op).__name__}")


@on_codes.register
def _(op: Convolution, node: Node, network: ShiftedNetwork, inputs: Sequence[Map]) -> Map:
    kernel = network.kernels[node.name]
    sums = _sums(op, network, node.name, inputs[0])
    if kernel.sums is None:
        return sums
    scaled = np.ldexp(sums.astype(np.float64), -kernel.shift[:, None, None].astype(np.int32))
    return _activated(nearest_codes(scaled, kernel.sums), kernel.sums.low, network, node.name)


@on_codes.register
def _(op: Depthwise, node: Node, network: ShiftedNetwork, inputs: Sequence[Map]) -> Map:
    return on_codes(op.as_convolution(), node, network, inputs)


@on_codes.register
def _(op: MaxPool, node: Node, network: ShiftedNetwork, inputs: Sequence[Map]) -> Map:
    windows = Windows(op.size, op.strides, 1, op.padding // 2)
    outside = int(np.iinfo(np.int32).min)
    return np.asarray(_largest(_views(inputs[0], windows, _output(op, inputs), outside)), np.int32)


@on_codes.register
def _(op: Upsample, node: Node, network: ShiftedNetwork, inputs: Sequence[Map]) -> Map:
    return inputs[0].repeat(op.stride, 2).repeat(op.stride, 3)


@on_codes.register
def _(op: Route, node: Node, network: ShiftedNetwork, inputs: Sequence[Map]) -> Map:
    return np.concatenate([np.split(x, op.groups, 1)[op.group_id] for x in inputs], 1)


@on_codes.register
def _(op: Shortcut, node: Node, network: ShiftedNetwork, inputs: Sequence[Map]) -> Map:
    codes = network.ranges[node.name]
    total: NDArray[Any] = np.zeros(inputs[0].shape)
    for name, x in zip(node.inputs, inputs, strict=True):
        step = sampling(Shape(*inputs[0].shape[1:]), Shape(*x.shape[1:]))
        shared = min(total.shape[1], x.shape[1])
        doublings = network.ranges[name].exponent - codes.exponent
        total[:, :shared] += np.ldexp(x[:, :shared, ::step, ::step].astype(np.float64), doublings)
    return _activated(nearest_codes(total, codes), codes.low, network, node.name)


@on_codes.register(Dropout)
@on_codes.register(Empty)
@on_codes.register(Yolo)
def _(op: Op, node: Node, network: ShiftedNetwork, inputs: Sequence[Map]) -> Map:
    return inputs[0]


@on_codes.register(AvgPool)
@on_codes.register(Contrastive)
@on_codes.register(Crop)
@on_codes.register(LocalAvgPool)
@on_codes.register(MaxPoolDepth)
@on_codes.register(Reorg)
@on_codes.register(Reorg3d)
@on_codes.register(Sam)
@on_codes.register(ScaleChannels)
@on_codes.register(SqueezeExcite)
def _(op: Op, node: Node, network: ShiftedNetwork, inputs: Sequence[Map]) -> Map:
    raise TargetError(f"{node.name}: {type(op).__name__} layers are not computed in whole numbers")


def _sums(op: Convolution, network: ShiftedNetwork, name: str, x: Map) -> Map:
    """Products and biases added up: by matrix products of floats, which are exact on whole numbers of this size."""
    kernel = network.kernels[name]
    is_small = int(network.largest_sums(name).max()) < _FLOAT32_LIMIT
    dtype = np.dtype(np.float32 if is_small else np.float64)
    shape = _output(op, [x])
    rows = kernel.weight.reshape(op.groups, op.filters // op.groups, -1, op.size**2).astype(dtype)
    windows = Windows(op.size, op.strides, op.dilation, op.pad * op.dilation)
    total = np.zeros((len(x), op.groups, op.filters // op.groups, shape.height * shape.width), dtype)
    for place, view in enumerate(_views(x.astype(dtype), windows, shape, 0)):
        columns = view.reshape(len(x), op.groups, -1, total.shape[3])
        total += np.ascontiguousarray(rows[..., place]) @ columns
    sums = total.reshape(len(x), *shape) + kernel.bias[:, None, None].astype(dtype)
    assert np.abs(sums).max(initial=0) < SUM_LIMIT
    return np.asarray(sums, np.int32)


def _views(x: NDArray[Any], windows: Windows, output: Shape, outside: int) -> Iterator[NDArray[Any]]:
    """The first cell of all windows, then the second, row by row: each of shape (B, C, *output's sides)."""
    size, strides, dilation, before = windows
    ends = [(count - 1) * stride + 1 for count, stride in zip(output[1:], strides, strict=True)]
    behind = [max(0, end + (size - 1) * dilation - before - side) for end, side in zip(ends, x.shape[2:], strict=True)]
    padded = np.pad(x, ((0, 0), (0, 0), *((before, after) for after in behind)), constant_values=outside)
    for top in range(0, size * dilation, dilation):
        for left in range(0, size * dilation, dilation):
            yield padded[:, :, top : top + ends[0] : strides[0], left : left + ends[1] : strides[1]]


def _largest(views: Iterator[Map]) -> Map:
    found = next(views).copy()
    for view in views:
        np.maximum(found, view, out=found)
    return found


def _activated(codes: Map, low: int, network: ShiftedNetwork, name: str) -> Map:
    table = network.tables.get(name)
    return codes if table is None else table.astype(np.int32)[codes - low]


def _output(op: Op, inputs: Sequence[Map]) -> Shape:
    return output_shape(op, [Shape(*x.shape[1:]) for x in inputs])
