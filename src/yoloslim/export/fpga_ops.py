"""Op -> the row of an FPGA's layer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch

from yoloslim.errors import TargetError
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

Row = Mapping[str, str | int]
"""Its ``kind``, and the whole numbers that the kind needs. All lengths are cells of the map that it reads."""

KINDS = ("image", "convolution", "maxpool", "upsample", "concatenate", "add", "head")
"""What a layer computes, in the order of their numbers in C."""


@singledispatch
def to_fpga(op: Op) -> Row:
    """Gives the row of an op.

    Raises:
        TargetError: the op is not computed in whole numbers.
    """
    raise TypeError(f"no row for {type(op).__name__}")


@to_fpga.register
def _(op: Convolution) -> Row:
    down, across = op.strides
    return {
        "kind": "convolution",
        "size": op.size,
        "stride_y": down,
        "stride_x": across,
        "pad": op.pad * op.dilation,
        "dilation": op.dilation,
        "groups": op.groups,
    }


@to_fpga.register
def _(op: Depthwise) -> Row:
    return to_fpga(op.as_convolution())


@to_fpga.register
def _(op: MaxPool) -> Row:
    down, across = op.strides
    return {"kind": "maxpool", "size": op.size, "stride_y": down, "stride_x": across, "pad": op.padding // 2}


@to_fpga.register
def _(op: Upsample) -> Row:
    return {"kind": "upsample", "stride_y": op.stride, "stride_x": op.stride}


@to_fpga.register
def _(op: Route) -> Row:
    return {"kind": "concatenate", "groups": op.groups, "group": op.group_id}


@to_fpga.register(Dropout)
@to_fpga.register(Empty)
def _(op: Op) -> Row:
    return to_fpga(Route())


@to_fpga.register
def _(op: Shortcut) -> Row:
    return {"kind": "add"}


@to_fpga.register
def _(op: Yolo) -> Row:
    return {"kind": "head"}


@to_fpga.register(AvgPool)
@to_fpga.register(Contrastive)
@to_fpga.register(Crop)
@to_fpga.register(LocalAvgPool)
@to_fpga.register(MaxPoolDepth)
@to_fpga.register(Reorg)
@to_fpga.register(Reorg3d)
@to_fpga.register(Sam)
@to_fpga.register(ScaleChannels)
@to_fpga.register(SqueezeExcite)
def _(op: Op) -> Row:
    raise TargetError(f"{type(op).__name__} layers are not computed in whole numbers")
