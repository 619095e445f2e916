"""Channels of a map brought to ranges that suit one scale: cross-layer equalisation (Nagel et al., 2019), over lanes.

What writes a channel is divided by a factor and what reads it multiplied, which changes nothing where only layers lie
between that pass factors on. A factor belongs to a lane in one stretch of the network between convolutions: channels
that a shortcut adds have one, and the two sides of a depthwise convolution may differ.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import singledispatch
from typing import cast

import torch
from torch import Tensor

from yoloslim.graph.graph import IMAGE, Graph
from yoloslim.graph.lanes import Lanes, trace_lanes
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
from yoloslim.nn.layers.conv_block import ConvBlock
from yoloslim.nn.network import Network

HOMOGENEOUS = frozenset({"linear", "relu", "leaky", "revleaky", "relie"})
"""Activations that pass a positive factor on."""

_ROUNDS = 20
_SETTLED = 1e-3  # largest change of a factor that ends the rounds
_LIMIT = 1e4  # of one factor


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the network between convolutions, in which every channel may have a factor.

    Attributes:
        writers: convolutions whose output it begins with.
        readers: convolutions that it ends in, and the node that each reads.
    """

    writers: tuple[str, ...]
    readers: tuple[tuple[str, str], ...]

    @property
    def maps(self) -> tuple[str, ...]:
        """The nodes whose output is written first or read last."""
        return tuple(dict.fromkeys((*self.writers, *(source for _, source in self.readers))))


def equalized(network: Network) -> Network:
    """Gives the network with channels of like ranges, as weights that write and read them tell; it computes the same.

    Args:
        network: without batch-norm.
    """
    made = copy.deepcopy(network)
    lanes = trace_lanes(network.graph)
    stretches = list(free_stretches(network.graph))
    for _ in range(_ROUNDS):
        if max((_equalize(made, stretch, lanes) for stretch in stretches), default=0.0) < _SETTLED:
            break
    return made


def free_stretches(graph: Graph) -> Iterator[Stretch]:
    """Yields the stretches that pass factors on, in the order of the network."""
    stretch_of = _stretches(graph)
    fixed = {stretch_of[IMAGE]}
    for node in graph:
        fixed.update(stretch_of[name] for name in (*node.inputs, node.name) if not passes_factors(node.op))
        if node.weights_of:
            fixed.update(stretch_of[name] for name in (*node.inputs, node.name, node.weights_of))
            fixed.update(stretch_of[name] for name in graph[node.weights_of].inputs)
        if isinstance(node.op, Convolution | Depthwise) and node.op.activation not in HOMOGENEOUS:
            fixed.add(stretch_of[node.name])
    convolutions = [node for node in graph if isinstance(node.op, Convolution | Depthwise)]
    for root in dict.fromkeys(stretch_of.values()):
        writers = tuple(node.name for node in convolutions if stretch_of[node.name] == root)
        readers = tuple((node.name, node.inputs[0]) for node in convolutions if stretch_of[node.inputs[0]] == root)
        if root not in fixed and writers and readers:
            yield Stretch(writers, readers)


@singledispatch
def passes_factors(op: Op) -> bool:
    """Whether an op's output has the factors of its inputs' channels, whatever they are; convolutions begin anew."""
    raise TypeError(f"no rule of equalisation for {type(op).__name__}")


@passes_factors.register(AvgPool)
@passes_factors.register(Contrastive)
@passes_factors.register(Convolution)
@passes_factors.register(Depthwise)
@passes_factors.register(Dropout)
@passes_factors.register(Empty)
@passes_factors.register(LocalAvgPool)
@passes_factors.register(MaxPool)
@passes_factors.register(Reorg3d)
@passes_factors.register(Route)
@passes_factors.register(Upsample)
def _(op: Op) -> bool:
    return True


@passes_factors.register(MaxPoolDepth)
@passes_factors.register(Reorg)
@passes_factors.register(Sam)
@passes_factors.register(ScaleChannels)
@passes_factors.register(SqueezeExcite)
@passes_factors.register(Yolo)
def _(op: Op) -> bool:
    return False


@passes_factors.register
def _(op: Crop) -> bool:
    return not op.scaled


@passes_factors.register
def _(op: Shortcut) -> bool:
    return op.activation in HOMOGENEOUS and op.weights == "none"


def _stretches(graph: Graph) -> dict[str, str]:
    """The stretch of every node and the image, by the name of its first node."""
    roots = {IMAGE: IMAGE}
    for node in graph:
        if isinstance(node.op, Convolution | Depthwise):
            roots[node.name] = node.name
            continue
        first, *others = dict.fromkeys(roots[name] for name in node.inputs)
        roots[node.name] = first
        roots = {name: first if root in others else root for name, root in roots.items()}
    return roots


def _equalize(network: Network, stretch: Stretch, lanes: Lanes) -> float:
    """Moves factors between the two ends of a stretch, in place, and gives the largest change."""
    written, read = (torch.zeros(lanes.count, dtype=torch.float64) for _ in range(2))
    for name in stretch.writers:
        written.scatter_reduce_(0, torch.from_numpy(lanes.of[name]), _rows(block_of(network, name)), "amax")
    for name, source in stretch.readers:
        columns = _columns(block_of(network, name))
        read.scatter_reduce_(0, torch.from_numpy(lanes.of[source]), columns, "amax")
    is_used = (written > 0) & (read > 0)
    factors = normalized((written / read.clamp(min=1e-30)).sqrt().clamp(1 / _LIMIT, _LIMIT), is_used)
    apply_factors(network, stretch, lanes, factors)
    return float((factors[is_used] - 1).abs().max()) if is_used.any() else 0.0


def normalized(factors: Tensor, is_used: Tensor) -> Tensor:
    """Gives the factors of lanes divided by their geometric mean, 1 where ``is_used`` is False; shape (lanes,)."""
    mean = torch.exp(torch.log(factors[is_used]).mean()) if is_used.any() else 1.0
    return torch.where(is_used, factors / mean, 1.0)


def apply_factors(network: Network, stretch: Stretch, lanes: Lanes, factors: Tensor) -> None:
    """Divides what the writers of a stretch give by factors, shape (lanes,), and multiplies its readers; in place."""
    for name in stretch.writers:
        own, conv = factors[lanes.of[name]], block_of(network, name).conv
        with torch.no_grad():
            conv.weight /= own.view(-1, 1, 1, 1).to(conv.weight)
            cast(Tensor, conv.bias).div_(own.to(conv.weight))
    for name, source in stretch.readers:
        own, conv = factors[lanes.of[source]], block_of(network, name).conv
        with torch.no_grad():
            by_input(conv.weight, conv.groups).mul_(own.view(conv.groups, 1, -1, 1).to(conv.weight))


def block_of(network: Network, name: str) -> ConvBlock:
    """Gives the convolution of a node, with its activation."""
    return cast(ConvBlock, network.get_submodule(name))


def _rows(block: ConvBlock) -> Tensor:
    """The largest weight that writes each channel, shape (O,)."""
    return block.conv.weight.detach().double().abs().flatten(1).amax(1)


def _columns(block: ConvBlock) -> Tensor:
    """The largest weight that reads each channel, shape (I,)."""
    return by_input(block.conv.weight.detach().double().abs(), block.conv.groups).amax((1, 3)).flatten()


def by_input(weight: Tensor, groups: int) -> Tensor:
    """Gives a view of weights, (O, I / groups, k, k), as (groups, O / groups, I / groups, k * k)."""
    return weight.view(groups, -1, weight.shape[1], weight.shape[2] * weight.shape[3])
