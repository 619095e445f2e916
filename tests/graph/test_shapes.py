"""Shapes follow Darknet's rules."""

import pytest

from yoloslim.errors import CfgError
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import IMAGE
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
from yoloslim.graph.shapes import infer_shapes, largest_stride, output_shape, sampling
from yoloslim.zoo.catalog import find

NET = "[net]\nwidth=32\nheight=16\nchannels=3\n"


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (Convolution(4, 3, pad=1), (4, 13, 26)),
        (Convolution(4, 3, pad=0), (4, 11, 24)),
        (Convolution(4, 3, 2, 2, pad=1), (4, 7, 13)),
        (Convolution(4, 2, 2, 2), (4, 6, 13)),
        (Convolution(4, 1, stride_x=2, stride_y=1), (4, 13, 13)),
        (Convolution(4, 5, pad=1), (4, 11, 24)),
        (Convolution(4, 3, pad=1, dilation=2), (4, 13, 26)),
        (Convolution(4, 3, pad=0, dilation=2), (4, 9, 22)),
        (Convolution(16, 3, pad=1, groups=8), (16, 13, 26)),
        (Depthwise(8, 3, 2, pad=1), (8, 7, 13)),
        (MaxPool(2, 2, 2, padding=1), (8, 7, 13)),
        (MaxPool(2, 1, 1, padding=1), (8, 13, 26)),
        (MaxPool(13, 1, 1, padding=12), (8, 13, 26)),
        (MaxPool(3, 2, 2, padding=0), (8, 6, 12)),
        (MaxPool(2, 1, 2, padding=1), (8, 7, 26)),
        (Convolution(4, 3, 2, 2, pad=1, blur=3), (4, 7, 13)),
        (Convolution(4, 3, 2, 2, pad=1, blur=2), (4, 6, 13)),
        (MaxPool(2, 2, 2, padding=1, blur=3), (8, 7, 13)),
        (MaxPoolDepth(3), (3, 13, 26)),
        (LocalAvgPool(2, 2, 2, padding=1), (8, 7, 13)),
        (LocalAvgPool(3, 1, 2, padding=2), (8, 7, 26)),
        (AvgPool(), (8, 1, 1)),
        (Upsample(2), (8, 26, 52)),
        (Dropout(), (8, 13, 26)),
        (Crop(5, 6), (8, 5, 6)),
        (Empty(), (8, 13, 26)),
        (Contrastive(), (8, 13, 26)),
        (SqueezeExcite(2), (8, 13, 26)),
        (Route(), (8, 13, 26)),
        (Route(groups=2, group_id=1), (4, 13, 26)),
    ],
)
def test_an_op_maps_8x13x26_to(op: Op, expected: tuple[int, int, int]) -> None:
    assert output_shape(op, [Shape(8, 13, 26)]) == expected


def test_a_route_adds_the_channels_of_its_inputs() -> None:
    assert output_shape(Route(), [Shape(8, 13, 26), Shape(3, 13, 26)]) == (11, 13, 26)


def test_a_grouped_route_takes_a_part_of_every_input() -> None:
    assert output_shape(Route(groups=2), [Shape(8, 13, 26), Shape(4, 13, 26)]) == (6, 13, 26)


@pytest.mark.parametrize("other", [4, 8, 16])
def test_a_shortcut_has_the_channels_of_its_first_input(other: int) -> None:
    assert output_shape(Shortcut(), [Shape(8, 13, 26), Shape(other, 13, 26)]) == (8, 13, 26)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_shortcut_takes_every_so_manieth_cell_of_a_larger_map(step: int) -> None:
    larger = Shape(5, 13 * step, 26 * step)

    assert sampling(Shape(8, 13, 26), larger) == step
    assert output_shape(Shortcut(), [Shape(8, 13, 26), larger]) == (8, 13, 26)


def test_scaled_channels_have_the_shape_of_the_map() -> None:
    assert output_shape(ScaleChannels(), [Shape(8, 1, 1), Shape(8, 13, 26)]) == (8, 13, 26)
    assert output_shape(ScaleChannels(spatial=True), [Shape(1, 13, 26), Shape(8, 13, 26)]) == (8, 13, 26)


def test_a_product_has_the_shape_of_its_factors() -> None:
    assert output_shape(Sam(), [Shape(8, 13, 26)] * 2) == (8, 13, 26)


def test_a_head_passes_its_head_map() -> None:
    yolo = Yolo((0, 1), ((1, 2), (3, 4)), classes=2)
    assert output_shape(yolo, [Shape(14, 13, 26)]) == (14, 13, 26)
    gaussian = Yolo((0, 1), ((1, 2), (3, 4)), classes=2, gaussian=True)
    assert output_shape(gaussian, [Shape(22, 13, 26)]) == (22, 13, 26)


@pytest.mark.parametrize(
    ("op", "inputs", "message"),
    [
        (Convolution(8, groups=3), [(8, 4, 4)], "groups=3 does not divide 8 input channels and filters=8"),
        (Convolution(6, groups=4), [(8, 4, 4)], "groups=4 does not divide 8 input channels and filters=6"),
        (Depthwise(6), [(8, 4, 4)], "filters=6 must equal the 8 input channels"),
        (Route(groups=2), [(8, 4, 4), (3, 4, 4)], "groups=2 does not divide 3 input channels"),
        (Route(), [(8, 4, 4), (8, 4, 5)], "joins maps of different sizes: 8x4x4, 8x4x5"),
        (Shortcut(), [(8, 4, 4), (8, 2, 2)], "joins maps of different sizes: 8x4x4, 8x2x2"),
        (Shortcut(), [(8, 4, 4), (8, 8, 4)], "joins maps of different sizes: 8x4x4, 8x8x4"),
        (Shortcut(), [(8, 4, 4), (8, 9, 9)], "joins maps of different sizes: 8x4x4, 8x9x9"),
        (ScaleChannels(), [(7, 1, 1), (8, 4, 4)], "needs scales of 8x1x1 for a map of 8x4x4, found 7x1x1"),
        (ScaleChannels(spatial=True), [(8, 1, 1), (8, 4, 4)], "needs scales of 1x4x4"),
        (ScaleChannels(), [(8, 1, 1), (8, 4, 4), (8, 4, 4)], "needs one layer in from=, found 2"),
        (Sam(), [(8, 4, 4), (8, 4, 5)], "needs one layer in from= of its own shape, found 8x4x4 and 8x4x5"),
        (Sam(), [(8, 4, 4)] * 3, "needs one layer in from= of its own shape"),
        (Crop(5, 4), [(8, 4, 4)], "cuts 4x5 cells out of a map of 4x4"),
        (MaxPoolDepth(9), [(8, 4, 4)], "out_channels=9 is more than the 8 input channels"),
        (LocalAvgPool(2, 1, 1, 3), [(8, 4, 4)], "padding=3 puts whole windows of size=2 outside of the map"),
        (Yolo((0,), ((1, 2),), 1, gaussian=True), [(8, 4, 4)], r"needs 1 anchors x \(9 \+ 1 classes\) = 10 input"),
        (Yolo((0,), ((1, 2),), 1), [(8, 4, 4)], r"needs 1 anchors x \(5 \+ 1 classes\) = 6 input channels, found 8"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(op: Op, inputs: list[tuple[int, int, int]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        output_shape(op, [Shape(*shape) for shape in inputs])


def test_every_node_and_the_image_has_a_shape() -> None:
    graph = parse_cfg(NET + "[convolutional]\nfilters=8\n[maxpool]\nsize=2\nstride=2\n")

    shapes = infer_shapes(graph)

    assert shapes == {IMAGE: (3, 16, 32), "000_convolutional": (8, 16, 32), "001_maxpool": (8, 8, 16)}


def test_a_map_that_shrinks_to_nothing_is_refused_at_its_section() -> None:
    text = NET + "[avgpool]\n[convolutional]\nsize=3\nfilters=8\n"
    with pytest.raises(CfgError, match=r"^x\.cfg:6: \[convolutional\] \(layer 001_convolutional\) gives an empty map"):
        parse_cfg(text, "x.cfg")


def test_a_size_set_later_is_checked_like_one_that_was_read() -> None:
    graph = parse_cfg(NET + "[convolutional]\nsize=16\nfilters=8\n", "x.cfg")

    with pytest.raises(CfgError, match=r"^x\.cfg:5: .*gives an empty map.*the network's input is too small"):
        infer_shapes(graph.with_size(8, 8))


def test_the_stride_is_the_one_that_all_maps_can_be_divided_by() -> None:
    cfg = """[net]
width=96
height=96
[convolutional]
filters=4
size=3
stride=3
pad=1
[maxpool]
size=2
stride=4
[maxpool]
size=3
stride=1
[avgpool]
[convolutional]
filters=4
size=1
"""

    assert largest_stride(parse_cfg(cfg)) == 12


@pytest.mark.parametrize(
    ("name", "stride"), [("yolov3-tiny", 32), ("yolov4", 32), ("yolov2", 32), ("efficientnet-b0+yolov3", 32)]
)
def test_networks_of_the_zoo_have_their_strides(name: str, stride: int) -> None:
    assert largest_stride(find(name)) == stride


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ("[route]\nlayers=-1,-1\n" * 40, "(layer 018_route) gives a map of 2097152x8x8; expected at most 1048576"),
        ("[upsample]\nstride=64\n" * 3, "(layer 003_upsample) gives a map of 8x2097152x2097152; expected at most"),
    ],
)
def test_a_map_that_nothing_could_hold_is_refused(layers: str, words: str) -> None:
    with pytest.raises(CfgError) as refusal:
        parse_cfg(f"[net]\nwidth=8\nheight=8\n[convolutional]\nfilters=8\n{layers}")

    assert words in str(refusal.value)
