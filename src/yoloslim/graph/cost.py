"""Parameters and multiply-accumulates of a network, from its graph alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch

from yoloslim.graph.graph import Graph
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
from yoloslim.graph.shapes import convolved_shape, infer_shapes

_NO_BATCH_NORM = (1, 1)
_BATCH_NORM = (2, 4)
"""Trainable and stored floats a filter beside its weights: bias; or scale and shift, plus mean and variance."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a network, or one node, costs.

    Attributes:
        params: trainable floats.
        weights_floats: floats in the ``.weights`` file: ``params`` and the running means and variances.
        macs: multiply-accumulates of convolutions and dense layers for one picture.
    """

    params: int = 0
    weights_floats: int = 0
    macs: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.params + other.params, self.weights_floats + other.weights_floats, self.macs + other.macs)

    @property
    def gflops(self) -> float:
        """Two operations a multiply-accumulate, in 10^9, as Darknet prints BFLOPs."""
        return 2 * self.macs / 1e9


def total_cost(graph: Graph) -> Cost:
    """Gives the cost of the whole network at its input size."""
    return sum(node_costs(graph).values(), Cost())


def node_costs(graph: Graph) -> dict[str, Cost]:
    """Gives the cost of every node at the network's input size."""
    shapes = infer_shapes(graph)
    costs = {node.name: cost_of(node.op, [shapes[i] for i in node.inputs], shapes[node.name]) for node in graph}
    return costs | {node.name: Cost(macs=costs[node.name].macs) for node in graph if node.weights_of}


@singledispatch
def cost_of(op: Op, inputs: Sequence[Shape], output: Shape) -> Cost:
    """Gives the cost of an op from the shapes of its inputs and its output."""
    raise TypeError(f"no cost rule for {type(op).__name__}")


@cost_of.register
def _(op: Convolution, inputs: Sequence[Shape], output: Shape) -> Cost:
    weights = op.filters * (inputs[0].channels // op.groups) * op.size**2
    convolved = convolved_shape(op, inputs[0])
    return _convolution_cost(weights, op.filters, op.batch_norm, convolved) + _blur_cost(op, output)


@cost_of.register
def _(op: MaxPool, inputs: Sequence[Shape], output: Shape) -> Cost:
    return _blur_cost(op, output)


@cost_of.register
def _(op: Depthwise, inputs: Sequence[Shape], output: Shape) -> Cost:
    return _convolution_cost(op.filters * op.size**2, op.filters, op.batch_norm, output)


@cost_of.register
def _(op: SqueezeExcite, inputs: Sequence[Shape], output: Shape) -> Cost:
    weights = 2 * output.channels * op.hidden
    return Cost(weights, weights, weights)


@cost_of.register
def _(op: Shortcut, inputs: Sequence[Shape], output: Shape) -> Cost:
    each = {"none": 0, "per_feature": 1, "per_channel": output.channels}[op.weights]
    return Cost(len(inputs) * each, len(inputs) * each)


@cost_of.register(AvgPool)
@cost_of.register(Contrastive)
@cost_of.register(Crop)
@cost_of.register(Dropout)
@cost_of.register(Empty)
@cost_of.register(LocalAvgPool)
@cost_of.register(MaxPoolDepth)
@cost_of.register(Reorg)
@cost_of.register(Reorg3d)
@cost_of.register(Route)
@cost_of.register(Sam)
@cost_of.register(ScaleChannels)
@cost_of.register(Upsample)
@cost_of.register(Yolo)
def _(op: Op, inputs: Sequence[Shape], output: Shape) -> Cost:
    return Cost()


def _convolution_cost(weights: int, filters: int, batch_norm: bool, output: Shape) -> Cost:
    trainable, stored = _BATCH_NORM if batch_norm else _NO_BATCH_NORM
    return Cost(weights + trainable * filters, weights + stored * filters, weights * output.height * output.width)


def _blur_cost(op: Convolution | MaxPool, output: Shape) -> Cost:
    return Cost(macs=op.blur**2 * output.channels * output.height * output.width)
