"""Section -> op: what the keys of each section mean (AlexeyAB's Darknet, parser.c)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from yoloslim.cfg.options import Options, kind_of
from yoloslim.cfg.sections import Section
from yoloslim.graph.ops import (
    AvgPool,
    Convolution,
    Depthwise,
    Dropout,
    MaxPool,
    Op,
    Reorg,
    Reorg3d,
    Route,
    ScaleChannels,
    Shape,
    Shortcut,
    SqueezeExcite,
    Upsample,
    Yolo,
)


def read_op(section: Section, inputs: Sequence[Shape]) -> Op:
    """Gives the op of one section, for inputs of these shapes.

    Raises:
        CfgError: a value is missing, malformed or out of range.
    """
    kind = kind_of(section)
    if kind not in _READERS:
        raise section.error("is not a layer; expected it once, as the first section")
    return _READERS[kind](Options(section), inputs)


def _convolution(options: Options, inputs: Sequence[Shape]) -> Convolution:
    size = options.integer("size")
    stride_x, stride_y = _strides(options)
    return Convolution(
        filters=options.integer("filters"),
        size=size,
        stride_x=stride_x,
        stride_y=stride_y,
        pad=size // 2 if options.flag("pad") else options.integer("padding"),
        dilation=1 if size == 1 else options.integer("dilation"),
        groups=options.integer("groups"),
        batch_norm=options.flag("batch_normalize"),
        activation=options.text("activation"),
    )


def _depthwise(options: Options, inputs: Sequence[Shape]) -> Depthwise:
    size = options.integer("size")
    return Depthwise(
        filters=options.integer("filters") if options.has("filters") else inputs[0].channels,
        size=size,
        stride=options.integer("stride"),
        pad=size // 2 if options.flag("pad") else 0,
        batch_norm=options.flag("batch_normalize"),
        activation=options.text("activation"),
    )


def _squeeze_excite(options: Options, inputs: Sequence[Shape]) -> SqueezeExcite:
    if options.has("hidden"):
        return SqueezeExcite(options.integer("hidden"))
    return SqueezeExcite(max(1, inputs[0].channels // options.integer("reduction")))


def _max_pool(options: Options, inputs: Sequence[Shape]) -> MaxPool:
    stride_x, stride_y = _strides(options)
    size = options.integer("size") if options.has("size") else options.integer("stride")
    padding = options.integer("padding") if options.has("padding") else size - 1
    return MaxPool(size, stride_x, stride_y, padding)


def _upsample(options: Options, inputs: Sequence[Shape]) -> Upsample:
    return Upsample(options.integer("stride"), options.number("scale"))


def _route(options: Options, inputs: Sequence[Shape]) -> Route:
    groups, group_id = options.integer("groups"), options.integer("group_id")
    if group_id >= groups:
        raise options.section.error(f"group_id={group_id} is not below groups={groups}", key="group_id")
    return Route(groups, group_id)


def _yolo(options: Options, inputs: Sequence[Shape]) -> Yolo:
    numbers = options.numbers("anchors")
    if len(numbers) % 2:
        text = f"anchors has {len(numbers)} numbers; expected width,height pairs"
        raise options.section.error(text, key="anchors")
    anchors = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    mask = options.integers("mask") if options.has("mask") else tuple(range(len(anchors)))
    if max(mask) >= len(anchors):
        text = f"mask={','.join(map(str, mask))} points beyond the {len(anchors)} anchors"
        raise options.section.error(text, key="mask")
    return Yolo(mask, anchors, options.integer("classes"), options.number("scale_x_y"), options.flag("new_coords"))


def _region(options: Options, inputs: Sequence[Shape]) -> Yolo:
    count = options.integer("num")
    numbers = options.numbers("anchors") if options.has("anchors") else (0.5,) * 2 * count  # region_layer.c
    if len(numbers) != 2 * count:
        text = f"anchors has {len(numbers)} numbers; expected width,height pairs for num={count}"
        raise options.section.error(text, key="anchors")
    anchors = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    score: Literal["logistic", "softmax"] = "softmax" if options.flag("softmax") else "logistic"
    return Yolo(
        mask=tuple(range(count)),
        anchors=anchors,
        classes=options.integer("classes"),
        region=True,
        class_score="tree" if options.has("tree") else score,
    )


def _strides(options: Options) -> tuple[int, int]:
    both = options.integer("stride")
    across, down = options.integer("stride_x"), options.integer("stride_y")
    return across if across > 0 else both, down if down > 0 else both


_READERS: dict[str, Callable[[Options, Sequence[Shape]], Op]] = {
    "convolutional": _convolution,
    "depthwise": _depthwise,
    "se": _squeeze_excite,
    "maxpool": _max_pool,
    "avgpool": lambda options, inputs: AvgPool(),
    "upsample": _upsample,
    "reorg": lambda options, inputs: Reorg(options.integer("stride")),
    "reorg3d": lambda options, inputs: Reorg3d(options.integer("stride")),
    "route": _route,
    "shortcut": lambda options, inputs: Shortcut(options.text("activation")),
    "scale_channels": lambda options, inputs: ScaleChannels(options.text("activation"), options.flag("scale_wh")),
    "dropout": lambda options, inputs: Dropout(options.number("probability")),
    "yolo": _yolo,
    "region": _region,
}
