"""Op -> module."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

from torch import nn

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
from yoloslim.nn.layers.conv_block import ConvBlock
from yoloslim.nn.layers.drop_block import DropBlock
from yoloslim.nn.layers.head import HeadBlock
from yoloslim.nn.layers.join import RouteBlock, SamBlock, ScaleChannelsBlock, ShortcutBlock
from yoloslim.nn.layers.reorg import Reorg3dBlock, ReorgBlock
from yoloslim.nn.layers.resample import (
    AvgPoolBlock,
    CropBlock,
    LocalAvgPoolBlock,
    MaxPoolBlock,
    MaxPoolDepthBlock,
    UpsampleBlock,
)
from yoloslim.nn.layers.squeeze_excite import SqueezeExciteBlock


@singledispatch
def build_module(op: Op, inputs: Sequence[Shape]) -> nn.Module:
    """Gives the module that computes an op for inputs of these shapes; it takes one tensor an input."""
    raise TypeError(f"no module for {type(op).__name__}")


@build_module.register
def _(op: Convolution, inputs: Sequence[Shape]) -> nn.Module:
    return ConvBlock(inputs[0].channels, op)


@build_module.register
def _(op: Depthwise, inputs: Sequence[Shape]) -> nn.Module:
    return ConvBlock(inputs[0].channels, op.as_convolution())


@build_module.register
def _(op: SqueezeExcite, inputs: Sequence[Shape]) -> nn.Module:
    return SqueezeExciteBlock(inputs[0].channels, op.hidden)


@build_module.register
def _(op: MaxPool, inputs: Sequence[Shape]) -> nn.Module:
    return MaxPoolBlock(op)


@build_module.register
def _(op: MaxPoolDepth, inputs: Sequence[Shape]) -> nn.Module:
    return MaxPoolDepthBlock(op.out_channels)


@build_module.register
def _(op: LocalAvgPool, inputs: Sequence[Shape]) -> nn.Module:
    return LocalAvgPoolBlock(op)


@build_module.register
def _(op: AvgPool, inputs: Sequence[Shape]) -> nn.Module:
    return AvgPoolBlock()


@build_module.register
def _(op: Upsample, inputs: Sequence[Shape]) -> nn.Module:
    return UpsampleBlock(op.stride, op.scale)


@build_module.register
def _(op: Reorg, inputs: Sequence[Shape]) -> nn.Module:
    return ReorgBlock(op.stride)


@build_module.register
def _(op: Reorg3d, inputs: Sequence[Shape]) -> nn.Module:
    return Reorg3dBlock(op.stride)


@build_module.register
def _(op: Route, inputs: Sequence[Shape]) -> nn.Module:
    return RouteBlock(op.groups, op.group_id)


@build_module.register
def _(op: Shortcut, inputs: Sequence[Shape]) -> nn.Module:
    return ShortcutBlock(op, inputs[0].channels, len(inputs))


@build_module.register
def _(op: Sam, inputs: Sequence[Shape]) -> nn.Module:
    return SamBlock(op.activation)


@build_module.register
def _(op: ScaleChannels, inputs: Sequence[Shape]) -> nn.Module:
    return ScaleChannelsBlock(op.activation)


@build_module.register
def _(op: Dropout, inputs: Sequence[Shape]) -> nn.Module:
    return DropBlock(op) if op.block_cells or op.block_share else nn.Dropout(op.probability)


@build_module.register
def _(op: Crop, inputs: Sequence[Shape]) -> nn.Module:
    return CropBlock(op)


@build_module.register(Contrastive)
@build_module.register(Empty)
def _(op: Contrastive | Empty, inputs: Sequence[Shape]) -> nn.Module:
    return nn.Identity()


@build_module.register
def _(op: Yolo, inputs: Sequence[Shape]) -> nn.Module:
    return HeadBlock(op)
