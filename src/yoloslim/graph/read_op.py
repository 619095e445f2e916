"""Section -> op: what the keys of each section mean (AlexeyAB's Darknet, parser.c)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from yoloslim.cfg.options import Options, kind_of
from yoloslim.cfg.sections import Section
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
        batch_norm=options.flag("batch_normalize") or options.flag("cbn"),
        activation=options.text("activation"),
        blur=_blur(options),
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


def _max_pool(options: Options, inputs: Sequence[Shape]) -> MaxPool | MaxPoolDepth:
    if not options.flag("maxpool_depth"):
        return MaxPool(*_windows(options), blur=_blur(options))
    if options.flag("antialiasing"):
        raise options.section.error("maxpool_depth=1 takes no antialiasing; set one of them to 0", key="antialiasing")
    return MaxPoolDepth(options.integer("out_channels"))


def _windows(options: Options) -> tuple[int, int, int, int]:
    """Size, strides and padding of a pooling."""
    size = options.integer("size") if options.has("size") else options.integer("stride")
    padding = options.integer("padding") if options.has("padding") else size - 1
    return size, *_strides(options), padding


def _blur(options: Options) -> int:
    return {0: 0, 2: 2}.get(options.integer("antialiasing"), 3)


def _upsample(options: Options, inputs: Sequence[Shape]) -> Upsample:
    return Upsample(options.integer("stride"), options.number("scale"))


def _route(options: Options, inputs: Sequence[Shape]) -> Route:
    groups, group_id = options.integer("groups"), options.integer("group_id")
    if group_id >= groups:
        raise options.section.error(f"group_id={group_id} is not below groups={groups}", key="group_id")
    return Route(groups, group_id)


def _shortcut(options: Options, inputs: Sequence[Shape]) -> Shortcut:
    old = options.has("weights_normalizion") and not options.has("weights_normalization")
    normalization = options.text("weights_normalizion" if old else "weights_normalization")
    return Shortcut(
        options.text("activation"),
        weights=_WEIGHTS[options.text("weights_type")],
        normalization=_NORMALIZATIONS[normalization] if options.text("weights_type") != "none" else "none",
    )


def _dropout(options: Options, inputs: Sequence[Shape]) -> Dropout:
    probability = options.number("probability")
    if not options.flag("dropblock"):
        return Dropout(probability)
    cells, share = options.integer("dropblock_size_abs"), options.number("dropblock_size_rel")
    if cells or not share:
        return Dropout(probability, block_cells=cells or _BLOCK_CELLS)
    return Dropout(probability, block_share=share)


def _yolo(options: Options, inputs: Sequence[Shape]) -> Yolo:
    mask, anchors = _anchors(options)
    return Yolo(mask, anchors, options.integer("classes"), options.number("scale_x_y"), options.flag("new_coords"))


def _gaussian_yolo(options: Options, inputs: Sequence[Shape]) -> Yolo:
    mask, anchors = _anchors(options)
    return Yolo(mask, anchors, options.integer("classes"), options.number("scale_x_y"), gaussian=True)


def _anchors(options: Options) -> tuple[tuple[int, ...], tuple[tuple[float, float], ...]]:
    """Mask and anchors of a head."""
    numbers = options.numbers("anchors")
    if len(numbers) % 2:
        text = f"anchors has {len(numbers)} numbers; expected width,height pairs"
        raise options.section.error(text, key="anchors")
    anchors = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    mask = options.integers("mask") if options.has("mask") else tuple(range(len(anchors)))
    if max(mask) >= len(anchors):
        text = f"mask={','.join(map(str, mask))} points beyond the {len(anchors)} anchors"
        raise options.section.error(text, key="mask")
    return mask, anchors


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


_BLOCK_CELLS = 7  # parse_dropout: of dropblock=1 without a size

_WEIGHTS: Mapping[str, Literal["none", "per_feature", "per_channel"]] = {
    "none": "none",
    "per_feature": "per_feature",
    "per_layer": "per_feature",
    "per_channel": "per_channel",
}
_NORMALIZATIONS: Mapping[str, Literal["none", "relu", "softmax"]] = {
    "none": "none",
    "relu": "relu",
    "avg_relu": "relu",
    "softmax": "softmax",
}

_READERS: dict[str, Callable[[Options, Sequence[Shape]], Op]] = {
    "convolutional": _convolution,
    "depthwise": _depthwise,
    "se": _squeeze_excite,
    "maxpool": _max_pool,
    "local_avgpool": lambda options, inputs: LocalAvgPool(*_windows(options)),
    "avgpool": lambda options, inputs: AvgPool(),
    "upsample": _upsample,
    "reorg": lambda options, inputs: Reorg(options.integer("stride")),
    "reorg3d": lambda options, inputs: Reorg3d(options.integer("stride")),
    "route": _route,
    "shortcut": _shortcut,
    "scale_channels": lambda options, inputs: ScaleChannels(options.text("activation"), options.flag("scale_wh")),
    "sam": lambda options, inputs: Sam(options.text("activation")),
    "dropout": _dropout,
    "crop": lambda options, inputs: Crop(
        options.integer("crop_height"), options.integer("crop_width"), not options.flag("noadjust")
    ),
    "empty": lambda options, inputs: Empty(),
    "contrastive": lambda options, inputs: Contrastive(),
    "yolo": _yolo,
    "Gaussian_yolo": _gaussian_yolo,
    "region": _region,
}
