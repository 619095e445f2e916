"""Graph -> cfg text: keys that an op knows are brought up to date, everything else stays as it was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import singledispatch

from yoloslim.cfg.options import Options
from yoloslim.cfg.sections import Option, Section, write_sections
from yoloslim.graph.graph import IMAGE, Graph, Node
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
from yoloslim.graph.read_op import read_op
from yoloslim.graph.shapes import infer_shapes


def to_cfg(graph: Graph) -> str:
    """Gives the cfg text of a network; reading it again gives the same network."""
    return write_sections(to_sections(graph))


def to_sections(graph: Graph) -> tuple[Section, ...]:
    """Gives ``[net]``, one section a node, each as it was read but for what changed, and the tail."""
    shapes = infer_shapes(graph)
    order = {node.name: index for index, node in enumerate(graph)} | {IMAGE: -1}
    sections = [graph.section]
    for index, node in enumerate(graph):
        sections.append(_section(node, index, order, [shapes[name] for name in node.inputs]))
    return (*sections, *graph.tail)


@singledispatch
def options_of(op: Op) -> dict[str, str]:
    """Gives the options of an op's section, in the customary order, references aside."""
    raise TypeError(f"no cfg form for {type(op).__name__}")


@options_of.register
def _(op: Convolution) -> dict[str, str]:
    same = op.pad == op.size // 2
    return {
        "batch_normalize": str(int(op.batch_norm)),
        "filters": str(op.filters),
        "size": str(op.size),
        **_stride_options(op.stride_x, op.stride_y),
        "pad": str(int(same)),
        **({} if same or not op.pad else {"padding": str(op.pad)}),
        **({} if op.dilation == 1 else {"dilation": str(op.dilation)}),
        **({} if op.groups == 1 else {"groups": str(op.groups)}),
        "activation": op.activation,
        **_blur_option(op.blur),
    }


@options_of.register
def _(op: Depthwise) -> dict[str, str]:
    return {
        "batch_normalize": str(int(op.batch_norm)),
        "filters": str(op.filters),
        "size": str(op.size),
        "stride": str(op.stride),
        "pad": str(int(op.pad > 0)),
        "activation": op.activation,
    }


@options_of.register
def _(op: SqueezeExcite) -> dict[str, str]:
    return {"hidden": str(op.hidden)}


@options_of.register
def _(op: MaxPool) -> dict[str, str]:
    return {**_window_options(op), **_blur_option(op.blur)}


@options_of.register
def _(op: MaxPoolDepth) -> dict[str, str]:
    return {"maxpool_depth": "1", "out_channels": str(op.out_channels)}


@options_of.register
def _(op: LocalAvgPool) -> dict[str, str]:
    return _window_options(op)


@options_of.register(AvgPool)
@options_of.register(Contrastive)
@options_of.register(Empty)
def _(op: Op) -> dict[str, str]:
    return {}


@options_of.register
def _(op: Upsample) -> dict[str, str]:
    return {"stride": str(op.stride), **({} if op.scale == 1.0 else {"scale": _number(op.scale)})}


@options_of.register(Reorg)
@options_of.register(Reorg3d)
def _(op: Reorg | Reorg3d) -> dict[str, str]:
    return {"stride": str(op.stride)}


@options_of.register
def _(op: Route) -> dict[str, str]:
    return {} if op.groups == 1 else {"groups": str(op.groups), "group_id": str(op.group_id)}


@options_of.register
def _(op: Shortcut) -> dict[str, str]:
    weights = {"weights_type": op.weights, "weights_normalization": op.normalization}
    return {"activation": op.activation, **(weights if op.weights != "none" else {})}


@options_of.register
def _(op: Sam) -> dict[str, str]:
    return {"activation": op.activation}


@options_of.register
def _(op: ScaleChannels) -> dict[str, str]:
    return {**({"scale_wh": "1"} if op.spatial else {}), "activation": op.activation}


@options_of.register
def _(op: Dropout) -> dict[str, str]:
    cells = {"dropblock": "1", "dropblock_size_abs": str(op.block_cells)} if op.block_cells else {}
    share = {"dropblock": "1", "dropblock_size_rel": _number(op.block_share)} if op.block_share else {}
    return {"probability": _number(op.probability), **cells, **share}


@options_of.register
def _(op: Crop) -> dict[str, str]:
    unscaled = {} if op.scaled else {"noadjust": "1"}
    return {"crop_height": str(op.height), "crop_width": str(op.width), **unscaled}


@options_of.register
def _(op: Yolo) -> dict[str, str]:
    anchors = ", ".join(f"{_number(width)},{_number(height)}" for width, height in op.anchors)
    if op.region:
        softmax = {"softmax": str(int(op.class_score == "softmax"))} if op.class_score != "tree" else {}
        return {"anchors": anchors, "classes": str(op.classes), "num": str(len(op.anchors)), **softmax}
    return {
        "mask": ",".join(map(str, op.mask)),
        "anchors": anchors,
        "classes": str(op.classes),
        "num": str(len(op.anchors)),
        **({} if op.scale_x_y == 1.0 else {"scale_x_y": _number(op.scale_x_y)}),
        **({"new_coords": "1"} if op.new_coords else {}),
    }


_REFERENCE_KEYS = {Route: "layers", Shortcut: "from", ScaleChannels: "from", Sam: "from"}


def section_of(kind: str, op: Op, indices: Sequence[int], extras: Mapping[str, str]) -> Section:
    """Gives a new section for an op.

    Args:
        indices: what the references say, as Darknet writes them; empty for an op that reads the layer before.
        extras: keys that the op does not know, added at the end.
    """
    written = {_REFERENCE_KEYS[type(op)]: ",".join(map(str, indices))} if indices else {}
    options = {**written, **options_of(op), **extras}
    return Section(kind, tuple(Option(key, value) for key, value in options.items()))


def _section(node: Node, index: int, order: Mapping[str, int], shapes: Sequence[Shape]) -> Section:
    written = options_of(read_op(node.section, shapes))
    wanted = options_of(node.op)
    changes = {key: value for key, value in wanted.items() if written.get(key) != value}
    section = node.section.without(written.keys() - wanted.keys())  # at its default again: groups=1, say
    return section.updated({**changes, **_changed_references(node, index, order)})


def _changed_references(node: Node, index: int, order: Mapping[str, int]) -> dict[str, str]:
    """Relative references stay relative, absolute ones absolute; nothing when all still hold."""
    inputs, options = [order[name] for name in node.inputs], Options(node.section)
    if node.weights_of:
        shared = _references([options.integer("share_index")], [order[node.weights_of]], index)
        return {"share_index": shared} if shared else {}
    key = _REFERENCE_KEYS.get(type(node.op))
    if key is None:
        assert inputs == [index - 1], f"{node.name} can only read the layer before it"
        return {}
    wanted = _references(options.integers(key), inputs if isinstance(node.op, Route) else inputs[1:], index)
    return {key: wanted} if wanted else {}


def _references(written: Sequence[int], targets: Sequence[int], index: int) -> str:
    """Indices as they are to be written; empty where the written ones still hold."""
    wanted = [target - index if old < 0 else target for target, old in zip(targets, written, strict=True)]
    return "" if wanted == list(written) else ",".join(map(str, wanted))


def _number(value: float) -> str:
    short = f"{value:g}"
    return short if float(short) == value else repr(float(value))


def _stride_options(stride_x: int, stride_y: int) -> dict[str, str]:
    if stride_x == stride_y:
        return {"stride": str(stride_x)}
    return {"stride_x": str(stride_x), "stride_y": str(stride_y)}


def _window_options(op: MaxPool | LocalAvgPool) -> dict[str, str]:
    padding = {} if op.padding == op.size - 1 else {"padding": str(op.padding)}
    return {"size": str(op.size), **_stride_options(op.stride_x, op.stride_y), **padding}


def _blur_option(blur: int) -> dict[str, str]:
    return {"antialiasing": "2" if blur == 2 else "1"} if blur else {}
