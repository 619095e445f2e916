"""Parameters and multiply-accumulates, from the graph alone."""

from pathlib import Path

import pytest

from yoloslim.graph.cost import Cost, cost_of, node_costs, total_cost
from yoloslim.graph.from_cfg import parse_cfg, read_cfg
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
    Route,
    Sam,
    ScaleChannels,
    Shape,
    Shortcut,
    SqueezeExcite,
    Upsample,
    Yolo,
)
from yoloslim.graph.shapes import output_shape

NET = "[net]\nwidth=16\nheight=8\nchannels=3\n"
HEADER_BYTES = 20


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (Convolution(8, 3, pad=1), Cost(8 * 4 * 9 + 8, 8 * 4 * 9 + 8, 8 * 4 * 9 * 50)),
        (Convolution(8, 3, pad=1, batch_norm=True), Cost(8 * 4 * 9 + 2 * 8, 8 * 4 * 9 + 4 * 8, 8 * 4 * 9 * 50)),
        (Convolution(8, 3, 5, 5, pad=1), Cost(8 * 4 * 9 + 8, 8 * 4 * 9 + 8, 8 * 4 * 9 * 2)),
        (Convolution(8, 1, groups=2), Cost(8 * 2 + 8, 8 * 2 + 8, 8 * 2 * 50)),
        (Convolution(4, 3, pad=1, groups=4), Cost(4 * 9 + 4, 4 * 9 + 4, 4 * 9 * 50)),
        (Depthwise(4, 3, pad=1, batch_norm=True), Cost(4 * 9 + 2 * 4, 4 * 9 + 4 * 4, 4 * 9 * 50)),
        (SqueezeExcite(2), Cost(2 * 4 * 2, 2 * 4 * 2, 2 * 4 * 2)),
        (Convolution(8, 3, 5, 5, pad=1, blur=3), Cost(8 * 4 * 9 + 8, 8 * 4 * 9 + 8, 8 * 4 * 9 * 50 + 9 * 8 * 2)),
        (MaxPool(2, 5, 5, 1, blur=2), Cost(macs=4 * 4 * 2)),
        (Shortcut("linear", "per_feature"), Cost(1, 1, 0)),
        (Shortcut("linear", "per_channel", "relu"), Cost(4, 4, 0)),
    ],
)
def test_a_layer_with_weights_on_4x5x10_costs(op: Op, expected: Cost) -> None:
    shape = Shape(4, 5, 10)
    assert cost_of(op, [shape], output_shape(op, [shape])) == expected


@pytest.mark.parametrize(
    "op",
    [
        AvgPool(),
        Contrastive(),
        Crop(5, 10),
        Dropout(),
        Empty(),
        LocalAvgPool(2, 2, 2, 1),
        MaxPoolDepth(3),
        Sam(),
        MaxPool(2, 2, 2, 1),
        Route(),
        ScaleChannels(),
        Shortcut(),
        Upsample(2),
        Yolo((0,), ((1, 2),), 1),
    ],
    ids=lambda op: type(op).__name__,
)
def test_a_layer_without_weights_costs_nothing(op: Op) -> None:
    assert cost_of(op, [Shape(6, 5, 10)], Shape(6, 5, 10)) == Cost(0, 0, 0)


def test_the_total_is_the_sum_over_the_nodes() -> None:
    graph = parse_cfg(NET + "[convolutional]\nfilters=2\n[maxpool]\nsize=2\n[convolutional]\nfilters=5\n")

    costs = node_costs(graph)

    assert costs == {
        "000_convolutional": Cost(3 * 2 + 2, 3 * 2 + 2, 3 * 2 * 128),
        "001_maxpool": Cost(),
        "002_convolutional": Cost(2 * 5 + 5, 2 * 5 + 5, 2 * 5 * 128),
    }
    assert total_cost(graph) == Cost(8 + 15, 8 + 15, (6 + 10) * 128)


def test_a_size_of_twice_the_area_costs_twice_the_operations_and_no_parameter() -> None:
    graph = parse_cfg(NET + "[convolutional]\nfilters=2\nsize=3\npad=1\n")

    small, large = total_cost(graph), total_cost(graph.with_size(32, 8))

    assert (large.macs, large.params) == (2 * small.macs, small.params)


def test_a_multiply_accumulate_is_two_operations() -> None:
    assert Cost(macs=1_500_000_000).gflops == 3.0


@pytest.mark.parametrize(
    "name", ["yolov3-tiny", "yolo-fastest-1.1", "yolo-fastest-1.1-xl", "MobileNetV2-YOLOv3-Nano-coco", "yoloface-500k"]
)
def test_the_floats_of_a_published_network_fill_its_weights_file(weights_dir: Path, name: str) -> None:
    cost = total_cost(read_cfg(weights_dir / f"{name}.cfg"))
    assert HEADER_BYTES + 4 * cost.weights_floats == (weights_dir / f"{name}.weights").stat().st_size


def test_shared_weights_are_counted_once_and_computed_with_twice() -> None:
    graph = parse_cfg(NET + "[convolutional]\nfilters=3\n[convolutional]\nfilters=3\nstride=2\nshare_index=0\n")

    first, second = node_costs(graph).values()

    assert (first, second) == (Cost(3 * 3 + 3, 3 * 3 + 3, 9 * 128), Cost(macs=9 * 32))
