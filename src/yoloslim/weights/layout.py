"""Which tensors every node has: their names, shapes and order in a Darknet file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatch

from yoloslim.errors import WeightsError
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
from yoloslim.graph.shapes import infer_shapes

_NAMED_IN_MESSAGES = 3


@dataclass(frozen=True, slots=True)
class Blob:
    """One tensor of an op.

    Attributes:
        key: its name within the node, for instance ``conv.weight``.
    """

    key: str
    shape: tuple[int, ...]

    @property
    def floats(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Layer:
    """A node that has weights.

    Attributes:
        index: its place in the network, from 0, layers without weights counted.
        blobs: its tensors, in file order.
    """

    index: int
    name: str
    blobs: tuple[Blob, ...]

    @property
    def floats(self) -> int:
        """How many numbers its tensors hold together."""
        return sum(blob.floats for blob in self.blobs)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each tensor, by its full name."""
        return {f"{self.name}.{blob.key}": blob.shape for blob in self.blobs}


def layers_with_weights(graph: Graph) -> tuple[Layer, ...]:
    """Gives the nodes that have weights of their own, in the order of the network."""
    shapes = infer_shapes(graph)
    layers = (
        Layer(index, node.name, blobs_of(node.op, [shapes[name] for name in node.inputs]))
        for index, node in enumerate(graph)
        if not node.weights_of
    )
    return tuple(layer for layer in layers if layer.blobs)


def tensor_shapes(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Gives the shape of every tensor of a network, by its name in the state dict."""
    return {name: shape for layer in layers_with_weights(graph) for name, shape in layer.shapes.items()}


def check_tensors(
    expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]], where: object, *, exact: bool = True
) -> None:
    """Checks names and shapes of tensors against those that a cfg needs.

    Args:
        expected: shape by name, as the cfg has them.
        found: shape by name, as they are.
        where: what is read or written, for the message.
        exact: also refuse names that are missing or unexpected; otherwise only shapes are compared.

    Raises:
        WeightsError: they differ; counts what differs and names the first few.
    """
    problems = []
    if exact and (missing := [name for name in expected if name not in found]):
        problems.append(f"{len(missing)} missing ({some(missing)})")
    if exact and (unexpected := [name for name in found if name not in expected]):
        problems.append(f"{len(unexpected)} unexpected ({some(unexpected)})")
    wrong = [name for name, shape in expected.items() if name in found and found[name] != shape]
    if wrong:
        texts = [f"{name}: expected {_text(expected[name])}, found {_text(found[name])}" for name in wrong]
        problems.append(f"{len(wrong)} of another shape ({some(texts, '; ')})")
    if problems:
        text = f"the tensors do not fit the cfg: {', '.join(problems)}; are cfg and weights of the same network?"
        raise WeightsError(f"{where}: {text}")


def some(names: Sequence[str], separator: str = ", ") -> str:
    """Gives the first few names, and how many more there are."""
    more = len(names) - _NAMED_IN_MESSAGES
    return separator.join(names[:_NAMED_IN_MESSAGES]) + (f" and {more} more" if more > 0 else "")


@singledispatch
def blobs_of(op: Op, inputs: Sequence[Shape]) -> tuple[Blob, ...]:
    """Gives the tensors of an op in the order of Darknet's files (parser.c, load_weights_upto).

    Args:
        inputs: shapes of the feature maps that the op reads.
    """
    raise TypeError(f"no order of weights for {type(op).__name__}")


@blobs_of.register
def _(op: Convolution, inputs: Sequence[Shape]) -> tuple[Blob, ...]:
    weight = (op.filters, inputs[0].channels // op.groups, op.size, op.size)
    return _convolution_blobs(weight, batch_norm=op.batch_norm)


@blobs_of.register
def _(op: Depthwise, inputs: Sequence[Shape]) -> tuple[Blob, ...]:
    return _convolution_blobs((op.filters, 1, op.size, op.size), batch_norm=op.batch_norm)


@blobs_of.register
def _(op: SqueezeExcite, inputs: Sequence[Shape]) -> tuple[Blob, ...]:
    channels = inputs[0].channels
    return Blob("squeeze.weight", (op.hidden, channels, 1, 1)), Blob("excite.weight", (channels, op.hidden, 1, 1))


@blobs_of.register
def _(op: Shortcut, inputs: Sequence[Shape]) -> tuple[Blob, ...]:
    shapes = {"none": (), "per_feature": (len(inputs),), "per_channel": (len(inputs), inputs[0].channels)}
    return (Blob("weights", shapes[op.weights]),) if op.weights != "none" else ()


@blobs_of.register(AvgPool)
@blobs_of.register(Contrastive)
@blobs_of.register(Crop)
@blobs_of.register(Dropout)
@blobs_of.register(Empty)
@blobs_of.register(LocalAvgPool)
@blobs_of.register(MaxPool)
@blobs_of.register(MaxPoolDepth)
@blobs_of.register(Reorg)
@blobs_of.register(Reorg3d)
@blobs_of.register(Route)
@blobs_of.register(Sam)
@blobs_of.register(ScaleChannels)
@blobs_of.register(Upsample)
@blobs_of.register(Yolo)
def _(op: Op, inputs: Sequence[Shape]) -> tuple[Blob, ...]:
    return ()


def _convolution_blobs(weight: tuple[int, int, int, int], *, batch_norm: bool) -> tuple[Blob, ...]:
    vectors = ("norm.bias", "norm.weight", "norm.running_mean", "norm.running_var") if batch_norm else ("conv.bias",)
    return (*(Blob(key, weight[:1]) for key in vectors), Blob("conv.weight", weight))


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a single number"
