"""Graph -> cfg text: what is kept, and what is brought up to date."""

from dataclasses import replace
from pathlib import Path

import pytest

from yoloslim.cfg.sections import read_sections, write_sections
from yoloslim.graph.from_cfg import parse_cfg, read_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.ops import (
    Convolution,
    Crop,
    Dropout,
    LocalAvgPool,
    MaxPool,
    MaxPoolDepth,
    Op,
    Route,
    Sam,
    ScaleChannels,
    Shortcut,
    SqueezeExcite,
    Upsample,
    Yolo,
)
from yoloslim.graph.to_cfg import section_of, to_cfg, to_sections
from yoloslim.zoo.catalog import find, networks

PUBLISHED = ["yolov3-tiny", "yolo-fastest-1.1", "yolo-fastest-1.1-xl", "MobileNetV2-YOLOv3-Nano-coco", "yoloface-500k"]
NET = "[net]\nwidth=32\nheight=32\nchannels=3\n"
CONV = "[convolutional]\nfilters=8\n"


def structure(graph: Graph) -> list[tuple[str, Op, tuple[str, ...]]]:
    return [(node.name, node.op, node.inputs) for node in graph]


def with_op(graph: Graph, index: int, op: Op) -> Graph:
    nodes = list(graph.nodes)
    nodes[index] = replace(nodes[index], op=op)
    return replace(graph, nodes=tuple(nodes))


def without_second_node(graph: Graph) -> Graph:
    """Drops node 1; whatever read it reads node 0."""
    first, dropped, *rest = graph.nodes
    rest = [replace(n, inputs=tuple(first.name if i == dropped.name else i for i in n.inputs)) for n in rest]
    return replace(graph, nodes=(first, *rest))


# ---- the round trip --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_cfg_is_written_as_it_was_read(weights_dir: Path, name: str) -> None:
    path = weights_dir / f"{name}.cfg"
    assert to_cfg(read_cfg(path)) == write_sections(read_sections(path))


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_cfg_describes_the_same_network_after_writing(weights_dir: Path, name: str) -> None:
    graph = read_cfg(weights_dir / f"{name}.cfg")
    assert structure(parse_cfg(to_cfg(graph))) == structure(graph)


@pytest.mark.parametrize("name", sorted(networks()))
def test_a_network_of_the_zoo_is_written_as_it_was_made(name: str) -> None:
    graph = find(name)
    assert to_sections(graph) == (graph.section, *(node.section for node in graph))


def test_unknown_keys_and_the_order_of_keys_are_kept() -> None:
    text = "[net]\nheight=32\nwidth=32\ncolour=red\n\n[conv]\nactivation=leaky\ntaste=good\nfilters=8\n"
    assert to_cfg(parse_cfg(text)) == text


# ---- what changed ----------------------------------------------------------------------------------------------------


def test_changed_filters_are_brought_up_to_date_in_their_place() -> None:
    text = NET + "\n[convolutional]\nfilters=8\ntaste=good\nactivation=mish\n"

    written = to_cfg(with_op(parse_cfg(text), 0, Convolution(5, activation="mish")))

    assert written == text.replace("filters=8", "filters=5")


def test_another_size_is_written() -> None:
    text = to_cfg(parse_cfg(NET + CONV).with_size(width=64, height=96))
    assert parse_cfg(text).input_shape == (3, 96, 64)


@pytest.mark.parametrize(
    ("section", "op"),
    [
        ("[convolutional]\nfilters=8\ngroups=8", Convolution(8, groups=1)),
        ("[convolutional]\nfilters=8\nsize=3\ndilation=2", Convolution(8, 3)),
        ("[convolutional]\nfilters=8\nsize=3\npadding=2", Convolution(8, 3, pad=1)),
        ("[convolutional]\nfilters=8\nsize=3\npad=1", Convolution(8, 3, pad=0)),
        ("[convolutional]\nfilters=8\nstride=2", Convolution(8, stride_x=1, stride_y=2)),
        ("[maxpool]\nsize=3\nstride=2\npadding=0", MaxPool(3, 2, 2, padding=2)),
        ("[maxpool]\nstride=2", MaxPool(3, 2, 2, padding=2)),
        ("[se]\nreduction=4", SqueezeExcite(7)),
        ("[upsample]\nstride=2\nscale=2", Upsample(2)),
        ("[route]\nlayers=-1\ngroups=2\ngroup_id=1", Route()),
        ("[shortcut]\nfrom=-1\nactivation=leaky", Shortcut()),
        ("[shortcut]\nfrom=-1\nactivation=leaky", Shortcut("leaky", "per_channel", "softmax")),
        (
            "[shortcut]\nfrom=-1\nweights_type=per_feature\nweights_normalization=relu",
            Shortcut("linear", "per_feature"),
        ),
        ("[shortcut]\nfrom=-1\nweights_type=per_feature", Shortcut()),
        ("[sam]\nfrom=-1\nactivation=leaky", Sam("mish")),
        ("[convolutional]\nfilters=8\nstride=2\nantialiasing=1", Convolution(8, stride_x=2, stride_y=2, blur=2)),
        ("[convolutional]\nfilters=8\nantialiasing=2", Convolution(8)),
        ("[maxpool]\nstride=2", MaxPool(2, 2, 2, padding=1, blur=3)),
        ("[maxpool]\nmaxpool_depth=1\nout_channels=4", MaxPoolDepth(2)),
        ("[local_avgpool]\nstride=2", LocalAvgPool(3, 2, 1, padding=1)),
        ("[dropout]\ndropblock=1", Dropout()),
        ("[dropout]", Dropout(0.1, block_share=0.25)),
        ("[crop]\ncrop_height=4\ncrop_width=4", Crop(5, 6, scaled=False)),
    ],
)
def test_every_change_of_an_op_reaches_the_text(section: str, op: Op) -> None:
    graph = with_op(parse_cfg(NET + CONV + section), 1, op)
    assert parse_cfg(to_cfg(graph)).nodes[1].op == op


def test_a_depthwise_convolution_of_one_channel_loses_its_groups() -> None:
    graph = parse_cfg(NET + CONV + "[convolutional]\nfilters=8\ngroups=8\n")

    graph = with_op(with_op(graph, 0, Convolution(1)), 1, Convolution(1, groups=1))

    assert "groups" not in to_cfg(graph)


@pytest.mark.parametrize("side", [10.0, 0.1, 23.456789012345, 12345.678])
def test_anchors_are_written_without_loss(side: float) -> None:
    yolo = Yolo((0, 1, 2), ((side, side), (30.0, 40.0), (50.0, 60.0)), 1, scale_x_y=1.0 + side / 1e5)
    text = NET + "[convolutional]\nfilters=18\n[yolo]\nmask=0,1,2\nclasses=1\nanchors=1,2,3,4,5,6\n"

    graph = with_op(parse_cfg(text), 1, yolo)

    assert parse_cfg(to_cfg(graph)).nodes[1].op == yolo


# ---- references ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [("layers=-1,-3", "layers=-1,-2"), ("layers=2,0", "layers=1,0"), ("layers=-1, 0", "layers=-1, 0")],
)
def test_references_follow_a_dropped_layer_relative_ones_relative(before: str, after: str) -> None:
    graph = parse_cfg(NET + CONV * 3 + f"[route]\n{before}\n")

    written = to_cfg(without_second_node(graph))

    assert written.endswith(f"[route]\n{after}\n")


@pytest.mark.parametrize(("before", "after"), [("from=-3", "from=-2"), ("from=0", "from=0")])
def test_the_source_of_a_shortcut_follows_a_dropped_layer(before: str, after: str) -> None:
    graph = parse_cfg(NET + CONV * 3 + f"[shortcut]\n{before}\nactivation=linear\n")

    written = to_cfg(without_second_node(graph))

    assert written.endswith(f"[shortcut]\n{after}\nactivation=linear\n")


@pytest.mark.parametrize(("before", "after"), [("-3", "-2"), ("0", "0"), ("2", "1"), ("-1", "-1")])
def test_the_weights_that_a_layer_uses_follow_a_dropped_layer(before: str, after: str) -> None:
    graph = parse_cfg(NET + "[convolutional]\nfilters=3\n" * 3 + f"[convolutional]\nfilters=3\nshare_index={before}\n")

    again = parse_cfg(to_cfg(without_second_node(graph)))

    assert to_cfg(again).endswith(f"[convolutional]\nfilters=3\nshare_index={after}\n")
    assert again.nodes[2].weights_of == again.nodes[int(after) % 2 if int(after) >= 0 else int(after) + 2].name


def test_the_layers_of_a_classifier_are_written_as_they_were_read() -> None:
    text = NET + CONV + "\n[avgpool]\n\n[softmax]\ngroups=1\n\n[cost]\ntype=sse\n"
    assert to_cfg(parse_cfg(text)) == to_cfg(parse_cfg(to_cfg(parse_cfg(text))))
    assert to_cfg(parse_cfg(text)).endswith("[avgpool]\n\n[softmax]\ngroups=1\n\n[cost]\ntype=sse\n")


# ---- new sections ----------------------------------------------------------------------------------------------------


def test_a_new_section_has_references_first_then_the_op_then_extras() -> None:
    section = section_of("route", Route(2, 1), [-1, -3], {"stopbackward": "1"})
    assert write_sections([section]) == "[route]\nlayers=-1,-3\ngroups=2\ngroup_id=1\nstopbackward=1\n"


def test_a_new_section_of_an_op_that_reads_the_layer_before_has_no_references() -> None:
    section = section_of("scale_channels", ScaleChannels(spatial=True), [-4], {})
    assert write_sections([section]) == "[scale_channels]\nfrom=-4\nscale_wh=1\nactivation=linear\n"
    assert write_sections([section_of("upsample", Upsample(2), [], {})]) == "[upsample]\nstride=2\n"
