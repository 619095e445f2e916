"""What removed channels used to add, folded into the layers that read them.

A removed channel of a batch-normalised convolution still carried ``act(gamma * z + beta)``: the constant ``act(beta)``
when gamma is 0 (Ye et al., 2018). That constant is added to the bias, or taken from the running mean, of whatever
convolution reads the channel, which is exact inside the picture when gamma is 0, and approximate where gamma is not 0
and at zero-padded borders. (The mean over a normal ``z`` instead was tried: no better on published weights.)

A dropped branch leaves such constants behind in channels that stay: they are followed through every op that adds them
on unchanged (concatenation, linear shortcut, pooling, enlargement, reordering) to the convolutions that read them.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatch

import torch
from torch import Tensor, nn

from yoloslim.compress.pruning.plan import PruningPlan, planned_lanes
from yoloslim.graph.blocks import branch_nodes
from yoloslim.graph.graph import IMAGE
from yoloslim.graph.lanes import trace_lanes
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
from yoloslim.nn.layers.activation import FUNCTIONS
from yoloslim.nn.layers.conv_block import ConvBlock, SharedConvBlock
from yoloslim.nn.network import Network


@dataclass(frozen=True, slots=True)
class Folded:
    """What folding gives.

    Attributes:
        network: expects removed channels to be zero instead of their constant.
        constants: by node, what its output misses without the removed channels and dropped branches, float64, shape
            (C,); all of it is in the layers that read it.
    """

    network: Network
    constants: Mapping[str, Tensor]


def fold(network: Network, plan: PruningPlan) -> Network:
    """Gives a copy whose convolutions expect removed channels to be zero instead of their constant.

    Raises:
        PlanError: the plan does not fit the network.
    """
    return folded(network, plan).network


def folded(network: Network, plan: PruningPlan) -> Folded:
    """Gives what ``fold`` gives, and the constants that were moved.

    Raises:
        PlanError: the plan does not fit the network.
    """
    planned_lanes(network.graph, plan)
    lanes = trace_lanes(network.graph)
    gone = branch_nodes(network.graph, plan.dropped)
    copied = copy.deepcopy(network)
    constants = {IMAGE: torch.zeros(network.graph.input_shape.channels, dtype=torch.float64)}
    shared = {name for node in network.graph if node.weights_of for name in (node.name, node.weights_of)}
    for node in network.graph:
        block = copied.get_submodule(node.name)
        inputs = [constants[name] for name in node.inputs]
        if isinstance(block, ConvBlock) and node.name not in shared:  # layers with the same bias read other constants
            _absorb(block, inputs[0])
        values = constant_of(node.op, block, inputs)
        stays = torch.from_numpy(plan.keep[lanes.of[node.name]])
        is_missing = node.name in gone or _adds_on(node.op)
        constants[node.name] = values if is_missing else torch.where(stays, torch.zeros_like(values), values)
    return Folded(copied, constants)


def _adds_on(op: Op) -> bool:
    """Whether an op that gets ``x`` without a constant gives its output without a constant, for every ``x``."""
    if isinstance(op, Shortcut):
        return op.activation == "linear"
    return isinstance(op, Route | Upsample | Reorg3d | AvgPool | Dropout | MaxPool)


@singledispatch
def constant_of(op: Op, block: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    """Gives the constant of every output channel whose gamma is 0, float64, shape (C,); 0 where it is not known.

    Values at kept channels are used only of ops that add a constant on unchanged.

    Args:
        block: the op's module.
        inputs: what every input misses, shape (C,) each.
    """
    raise TypeError(f"no constant rule for {type(op).__name__}")


@constant_of.register(Convolution)
@constant_of.register(Depthwise)
def _(op: Convolution | Depthwise, block: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    if isinstance(block, SharedConvBlock):
        block = block.owner
    assert isinstance(block, ConvBlock)
    offset = block.conv.bias if block.norm is None else block.norm.bias
    assert offset is not None
    return _activated(op.activation, offset.detach().double().cpu())


@constant_of.register
def _(op: Route, block: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    return torch.cat([x.chunk(op.groups)[op.group_id] for x in inputs])


@constant_of.register
def _(op: Shortcut, block: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    with torch.no_grad():
        return copy.deepcopy(block).double().cpu()(*(x.view(1, -1, 1, 1) for x in inputs)).flatten()  # type: ignore[no-any-return]


@constant_of.register
def _(op: Sam, block: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    return _activated(op.activation, inputs[0] * inputs[1])


@constant_of.register
def _(op: MaxPoolDepth, block: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    return inputs[0].new_zeros(op.out_channels)  # its input channels are fixed: nothing of them goes


@constant_of.register
def _(op: Crop, block: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    return inputs[0] * 2 - 1 if op.scaled else inputs[0]


@constant_of.register
def _(op: ScaleChannels, block: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    return _activated(op.activation, inputs[0] * inputs[1])


@constant_of.register
def _(op: Upsample, block: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    return inputs[0] * op.scale


@constant_of.register
def _(op: SqueezeExcite, block: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    return torch.zeros_like(inputs[0])  # its scale depends on the picture


@constant_of.register
def _(op: Reorg, block: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    return inputs[0].new_zeros(len(inputs[0]) * op.stride**2)  # its input channels are fixed: nothing of them goes


@constant_of.register
def _(op: Reorg3d, block: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    return inputs[0].repeat(op.stride**2)


@constant_of.register(AvgPool)
@constant_of.register(Contrastive)
@constant_of.register(Dropout)
@constant_of.register(Empty)
@constant_of.register(LocalAvgPool)
@constant_of.register(MaxPool)
@constant_of.register(Yolo)
def _(op: Op, block: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    return inputs[0]


def _activated(activation: str, values: Tensor) -> Tensor:
    return FUNCTIONS[activation](values.view(1, -1, 1, 1)).flatten()


def _absorb(block: ConvBlock, constants: Tensor) -> None:
    """Moves what the removed inputs contribute into the batch-norm's mean or the bias."""
    groups, weight = block.conv.groups, block.conv.weight.detach().double().cpu()
    kernel_sums = weight.sum((2, 3)).view(groups, -1, weight.shape[1])  # (groups, O / groups, I / groups)
    shift = (kernel_sums @ constants.view(groups, -1, 1)).flatten()
    with torch.no_grad():
        if block.norm is not None:
            assert block.norm.running_mean is not None
            block.norm.running_mean -= shift.to(block.norm.running_mean)
        elif block.conv.bias is not None:
            block.conv.bias += shift.to(block.conv.bias)
