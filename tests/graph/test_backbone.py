"""Where the backbone ends is found in every network of the zoo, and in published cfg files."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from yoloslim.graph.backbone import backbone_end, backbone_of
from yoloslim.graph.cost import Cost, node_costs
from yoloslim.graph.from_cfg import parse_cfg, read_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.to_cfg import to_cfg
from yoloslim.zoo.builder import NetworkBuilder
from yoloslim.zoo.catalog import BACKBONES, HEADS, find

DEBIAN = Path("/usr/share/darknet/cfg")
MEBI = 2**20
# What cannot be told: heads that go on as wide as the backbone or wider, backbones that narrow before they end.
TOLD_HEADS = sorted(HEADS.keys() - {"yolov2", "yolov2-tiny"})
TOLD_BACKBONES = sorted(BACKBONES.keys() - {"darknet19", "fastest", "fastest-xl"})


def cost(graph: Graph, names: Iterable[str]) -> Cost:
    costs = node_costs(graph)
    return sum((costs[name] for name in names), Cost())


def last_of_backbone(name: str, width: float) -> str:
    net = NetworkBuilder((96, 96), width)
    BACKBONES[name](net)
    return net.last


@pytest.mark.parametrize("width", [1.0, 0.25])
@pytest.mark.parametrize("head", TOLD_HEADS)
@pytest.mark.parametrize("backbone", TOLD_BACKBONES)
def test_a_backbone_ends_where_the_zoo_ended_it(backbone: str, head: str, width: float) -> None:
    graph = find(f"{backbone}+{head}", size=(96, 96), width=width)

    assert backbone_end(graph) == last_of_backbone(backbone, width)


@pytest.mark.parametrize(
    ("name", "backbone", "head"),
    [
        ("yolov3", 38.74, 20.39),
        ("yolov3-tiny", 6.00, 2.45),
        ("yolov3-mobilenetv3", 2.84, 20.25),
        ("yolov3tiny-mobilenetv3-small", 0.92, 2.00),
    ],
)
def test_the_parts_are_those_of_the_originals_table(name: str, backbone: float, head: float) -> None:
    """Their columns count in two ways: YOLOv3's backbone as stored in a file, with running means and variances, the
    others as trained; and the head is what is left of the total, which is stored but for yolov3-mobilenetv3."""
    graph = find(name)
    first, total = cost(graph, backbone_of(graph)), cost(graph, node_costs(graph))
    part = first.weights_floats if name == "yolov3" else first.params
    whole = total.params if name == "yolov3-mobilenetv3" else total.weights_floats

    assert (round(part / MEBI, 2), round((whole - part) / MEBI, 2)) == (backbone, head)


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("MobileNetV2-YOLOv3-Nano-coco", "057_shortcut"),  # its authors publish the first 57 layers as the backbone
        ("yolo-fastest-1.1", "108_shortcut"),
        ("yolo-fastest-1.1-xl", "108_shortcut"),
        ("yolov3-tiny", "012_convolutional"),
        ("yoloface-500k", "058_convolutional"),
    ],
)
def test_backbones_of_published_networks_end_before_their_heads(name: str, end: str, weights_dir: Path) -> None:
    assert backbone_end(read_cfg(weights_dir / f"{name}.cfg")) == end


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs Debian's darknet package")
@pytest.mark.parametrize("name", ["yolov3", "yolov3-voc", "yolov3-openimages", "yolov3-spp"])
def test_the_backbone_of_yolov3_is_darknet53_in_every_form(name: str) -> None:
    assert backbone_end(read_cfg(DEBIAN / f"{name}.cfg")) == "074_shortcut"  # darknet53.conv.74 holds its weights


def test_yolov2_ends_where_its_finer_map_comes_in() -> None:
    assert backbone_end(find("yolov2")) == "024_convolutional"


def test_the_parts_do_not_depend_on_size_or_classes() -> None:
    graph = find("yolov4", classes=2)

    assert backbone_end(graph.with_size(96, 64)) == backbone_end(find("yolov4")) == "104_convolutional"


def test_layers_that_the_last_of_the_backbone_does_not_need_are_the_heads() -> None:
    graph = find("yolov3")
    backbone = backbone_of(graph)

    assert backbone == {node.name for node in graph.nodes[:75]}


def test_a_network_without_heads_is_all_backbone() -> None:
    text = to_cfg(find("yolov3-tiny", size=(64, 64)))
    classifier = parse_cfg(text[: text.index("[yolo]")])

    assert backbone_of(classifier) == {node.name for node in classifier}


def test_what_is_enlarged_at_once_is_all_head() -> None:
    layers = "[upsample]\nstride=2\n[convolutional]\nfilters=18\nactivation=linear\n"
    graph = parse_cfg(f"[net]\nwidth=32\nheight=32\n{layers}[yolo]\nmask=0,1,2\nanchors=4,4,8,8,9,9\nclasses=1\n")

    assert (backbone_end(graph), backbone_of(graph)) == ("image", frozenset())


def test_two_layers_are_parted() -> None:
    layers = "[convolutional]\nfilters=8\nsize=3\nstride=2\npad=1\n[convolutional]\nfilters=18\nactivation=linear\n"
    graph = parse_cfg(f"[net]\nwidth=32\nheight=32\n{layers}[yolo]\nmask=0,1,2\nanchors=4,4,8,8,9,9\nclasses=1\n")

    assert backbone_of(graph) == {"000_convolutional"}
