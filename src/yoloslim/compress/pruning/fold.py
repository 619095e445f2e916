"""What removed channels used to add, folded into the layers that read them.

A removed channel of a batch-normalised convolution still carried ``act(gamma * z + beta)``, with ``z`` of mean 0 and
variance 1: a constant ``act(beta)`` when gamma is 0 (Ye et al., 2018).
Its mean is added to the bias, or taken from the running mean, of whatever convolution reads the channel. That is exact
inside the picture when gamma is 0, and approximate where gamma is not 0 and at zero-padded borders.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import singledispatch

import numpy as np
import torch
from torch import Tensor, nn

from yoloslim.compress.pruning.plan import PruningPlan, check_plan
from yoloslim.graph.graph import IMAGE
from yoloslim.graph.lanes import trace_lanes
from yoloslim.graph.ops import (
    AvgPool,
    Convolution,
    Depthwise,
    Dropout,
    MaxPool,
    Op,
    Route,
    ScaleChannels,
    Shortcut,
    SqueezeExcite,
    Upsample,
    Yolo,
)
from yoloslim.nn.layers.activation import FUNCTIONS
from yoloslim.nn.layers.conv_block import ConvBlock
from yoloslim.nn.network import Network

_POINTS = 33
"""Gauss-Hermite points for the mean of an activation under a normal distribution."""


def fold(network: Network, plan: PruningPlan) -> Network:
    """Gives a copy whose convolutions expect removed channels to be zero instead of their mean.

    Raises:
        PlanError: the plan does not fit the network.
    """
    lanes = trace_lanes(network.graph)
    check_plan(plan, lanes)
    folded = copy.deepcopy(network)
    constants = {IMAGE: torch.zeros(network.graph.input_shape.channels, dtype=torch.float64)}
    for node in network.graph:
        block = folded.get_submodule(node.name)
        inputs = [constants[name] for name in node.inputs]
        if isinstance(block, ConvBlock):
            _absorb(block, inputs[0])
        means = constant_of(node.op, block, inputs)
        stays = torch.from_numpy(plan.keep[lanes.of[node.name]])
        constants[node.name] = torch.where(stays, torch.zeros_like(means), means)
    return folded


@singledispatch
def constant_of(op: Op, block: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    """Gives the mean of every output channel, float64, shape (C,); 0 where it is not known.

    Only the values at removed channels are used, where every input that matters is removed too.

    Args:
        block: the op's module.
        inputs: means of every input's removed channels, shape (C,) each; 0 at kept channels.
    """
    raise TypeError(f"no constant rule for {type(op).__name__}")


@constant_of.register(Convolution)
@constant_of.register(Depthwise)
def _(op: Convolution | Depthwise, block: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    assert isinstance(block, ConvBlock)
    if block.norm is not None:
        return normal_mean(op.activation, block.norm.weight, block.norm.bias)
    assert block.conv.bias is not None
    return normal_mean(op.activation, torch.zeros_like(block.conv.bias), block.conv.bias)


@constant_of.register
def _(op: Route, block: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    return torch.cat([x.chunk(op.groups)[op.group_id] for x in inputs])


@constant_of.register
def _(op: Shortcut, block: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    total = inputs[0].clone()
    for other in inputs[1:]:
        shared = min(len(total), len(other))
        total[:shared] += other[:shared]
    return _activate(op.activation, total)


@constant_of.register
def _(op: ScaleChannels, block: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    return _activate(op.activation, inputs[0] * inputs[1])


@constant_of.register
def _(op: Upsample, block: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    return inputs[0] * op.scale


@constant_of.register
def _(op: SqueezeExcite, block: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    return torch.zeros_like(inputs[0])  # its scale depends on the picture


@constant_of.register(AvgPool)
@constant_of.register(Dropout)
@constant_of.register(MaxPool)
@constant_of.register(Yolo)
def _(op: Op, block: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    return inputs[0]


def normal_mean(activation: str, spread: Tensor, mean: Tensor) -> Tensor:
    """Gives the mean of ``activation(v)`` for normal ``v`` of this mean and standard deviation, float64, shape (C,)."""
    points, weights = np.polynomial.hermite_e.hermegauss(_POINTS)
    values = spread.detach().double().cpu()[:, None] * torch.from_numpy(points) + mean.detach().double().cpu()[:, None]
    share = torch.from_numpy(weights / weights.sum())
    return (_activate(activation, values) * share).sum(1)


def _activate(activation: str, values: Tensor) -> Tensor:
    return FUNCTIONS[activation](values)


def _absorb(block: ConvBlock, means: Tensor) -> None:
    """Moves what the removed inputs contribute on average into the batch-norm's mean or the bias."""
    groups, weight = block.conv.groups, block.conv.weight.detach().double().cpu()
    kernel_sums = weight.sum((2, 3)).view(groups, -1, weight.shape[1])  # (groups, O / groups, I / groups)
    shift = (kernel_sums @ means.view(groups, -1, 1)).flatten()
    with torch.no_grad():
        if block.norm is not None:
            assert block.norm.running_mean is not None
            block.norm.running_mean -= shift.to(block.norm.running_mean)
        elif block.conv.bias is not None:
            block.conv.bias += shift.to(block.conv.bias)
