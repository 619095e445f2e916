"""Which tensors a node has, and which of them depend on the number of classes."""

import pytest

from yoloslim.errors import WeightsError
from yoloslim.graph.cost import node_costs
from yoloslim.graph.from_cfg import parse_cfg, read_cfg
from yoloslim.graph.ops import Convolution, Depthwise, Op, Shape, Shortcut, SqueezeExcite
from yoloslim.weights.darknet import Blob, blobs_of
from yoloslim.weights.heads import (
    classes_for_filters,
    classes_for_floats,
    first_head_index,
    head_convolutions,
    with_classes,
)
from yoloslim.weights.layout import check_tensors, layers_with_weights, tensor_shapes

HEAD = "[yolo]\nmask=0,1\nanchors=1,1, 2,2\nclasses=3\n"
NET = "[net]\nwidth=16\nheight=16\nchannels=3\n"


def conv(filters: int, *more: str) -> str:
    return "\n".join(["[convolutional]", f"filters={filters}", "activation=linear", *more]) + "\n"


@pytest.mark.parametrize(
    ("op", "blobs"),
    [
        (Convolution(4, size=3), [("conv.bias", (4,)), ("conv.weight", (4, 8, 3, 3))]),
        (
            Convolution(4, groups=2, batch_norm=True),
            [
                ("norm.bias", (4,)),
                ("norm.weight", (4,)),
                ("norm.running_mean", (4,)),
                ("norm.running_var", (4,)),
                ("conv.weight", (4, 4, 1, 1)),
            ],
        ),
        (Depthwise(8, size=5), [("conv.bias", (8,)), ("conv.weight", (8, 1, 5, 5))]),
        (SqueezeExcite(2), [("squeeze.weight", (2, 8, 1, 1)), ("excite.weight", (8, 2, 1, 1))]),
    ],
)
def test_blobs_stand_in_the_order_of_darknets_files(op: Op, blobs: list[tuple[str, tuple[int, ...]]]) -> None:
    assert blobs_of(op, [Shape(8, 6, 6)]) == tuple(Blob(key, shape) for key, shape in blobs)


def test_an_op_without_a_rule_is_an_error() -> None:
    with pytest.raises(TypeError, match="no order of weights for Op"):
        blobs_of(Op(), [])


@pytest.mark.parametrize("name", ["yolov3-tiny", "yolo-fastest-1.1-xl", "MobileNetV2-YOLOv3-Nano-coco"])
def test_blobs_count_the_same_floats_as_the_cost(name: str, weights_dir) -> None:
    graph = read_cfg(weights_dir / f"{name}.cfg")
    costs = node_costs(graph)

    assert {layer.name: layer.floats for layer in layers_with_weights(graph)} == {
        name: cost.weights_floats for name, cost in costs.items() if cost.weights_floats
    }


def test_tensors_are_named_by_node_and_key() -> None:
    graph = parse_cfg(NET + conv(4) + "[maxpool]\nsize=2\nstride=2\n" + conv(2))

    assert tensor_shapes(graph) == {
        "000_convolutional.conv.bias": (4,),
        "000_convolutional.conv.weight": (4, 3, 1, 1),
        "002_convolutional.conv.bias": (2,),
        "002_convolutional.conv.weight": (2, 4, 1, 1),
    }


def test_a_head_is_found_through_layers_that_only_pass() -> None:
    passing = "[dropout]\nprobability=.1\n[maxpool]\nsize=2\nstride=1\n[route]\nlayers=-1\n[upsample]\nstride=2\n"
    graph = parse_cfg(NET + conv(4) + conv(16) + passing + HEAD)

    assert list(head_convolutions(graph)) == ["001_convolutional"]
    assert first_head_index(graph) == 1
    assert tensor_shapes(with_classes(graph, 7))["001_convolutional.conv.weight"] == (24, 4, 1, 1)


@pytest.mark.parametrize(
    "layers",
    [
        conv(16) + HEAD + "[route]\nlayers=-2\n" + conv(4),
        conv(8) + conv(8, "activation=linear") + "[route]\nlayers=-1,-2\n" + HEAD,
        "[maxpool]\nsize=2\nstride=1\n" + conv(16) + "[shortcut]\nfrom=-1\n" + HEAD,
    ],
    ids=["read by another layer too", "joined of two", "added to another"],
)
def test_a_head_whose_channels_matter_elsewhere_cannot_change_its_classes(layers: str) -> None:
    graph = parse_cfg(NET + layers)

    assert head_convolutions(graph) == {}
    assert classes_for_floats(graph, 10) is None
    assert classes_for_filters(graph, {"000_convolutional": 20}) is None
    assert first_head_index(graph) <= 1


def test_a_network_without_heads_has_no_layer_that_depends_on_classes() -> None:
    graph = parse_cfg(NET + conv(4))

    assert first_head_index(graph) == len(graph)


def test_a_shortcut_has_one_weight_an_input_or_one_a_channel_of_the_first() -> None:
    shapes = [Shape(8, 6, 6), Shape(4, 6, 6), Shape(9, 6, 6)]

    assert blobs_of(Shortcut(), shapes) == ()
    assert blobs_of(Shortcut("linear", "per_feature"), shapes) == (Blob("weights", (3,)),)
    assert blobs_of(Shortcut("linear", "per_channel"), shapes) == (Blob("weights", (3, 8)),)


def test_a_layer_with_the_weights_of_another_has_none() -> None:
    graph = parse_cfg(NET + conv(3) + conv(3, "share_index=0") + conv(2))

    assert [layer.name for layer in layers_with_weights(graph)] == ["000_convolutional", "002_convolutional"]


def test_heads_may_share_their_convolution() -> None:
    shared = parse_cfg(NET + conv(4) + conv(16) + HEAD + "[route]\nlayers=0\n" + conv(16, "share_index=1") + HEAD)

    assert list(head_convolutions(shared)) == ["001_convolutional", "004_convolutional"]
    assert tensor_shapes(with_classes(shared, 7))["001_convolutional.conv.weight"] == (24, 4, 1, 1)


def test_a_head_with_the_weights_of_another_layer_cannot_change_its_classes() -> None:
    graph = parse_cfg(NET + conv(4) + conv(16) + "[route]\nlayers=0\n" + conv(16, "share_index=1") + HEAD)

    assert head_convolutions(graph) == {}


@pytest.mark.parametrize("classes", [1, 2, 3, 80])
def test_the_class_count_of_a_gaussian_head_follows_from_its_filters(classes: int) -> None:
    graph = parse_cfg(NET + conv(4) + conv(24) + HEAD.replace("[yolo]", "[Gaussian_yolo]"))
    floats = sum(layer.floats for layer in layers_with_weights(with_classes(graph, classes)))

    assert classes_for_floats(graph, floats) == classes
    assert classes_for_filters(graph, {"001_convolutional": 2 * (9 + classes)}) == classes


@pytest.mark.parametrize("classes", [1, 2, 3, 80])
def test_the_class_count_follows_from_the_number_of_floats(classes: int) -> None:
    graph = parse_cfg(NET + conv(4) + conv(16) + HEAD)
    floats = sum(layer.floats for layer in layers_with_weights(with_classes(graph, classes)))

    assert classes_for_floats(graph, floats) == classes
    assert classes_for_floats(graph, floats + 1) is None
    assert classes_for_filters(graph, {"001_convolutional": 2 * (5 + classes), "000_convolutional": 4}) == classes


@pytest.mark.parametrize("filters", [{}, {"001_convolutional": 17}, {"001_convolutional": 10}])
def test_filters_that_are_no_class_count_give_none(filters: dict[str, int]) -> None:
    graph = parse_cfg(NET + conv(4) + conv(16) + HEAD)

    assert classes_for_filters(graph, filters) is None


def test_heads_that_disagree_on_the_class_count_give_none() -> None:
    graph = parse_cfg(NET + conv(16) + HEAD + "[route]\nlayers=0\n" + conv(16) + HEAD)
    two = parse_cfg(NET + conv(4) + conv(16) + HEAD + "[route]\nlayers=0\n" + conv(16) + HEAD)

    assert head_convolutions(graph) == {}
    assert classes_for_filters(two, {"001_convolutional": 14, "004_convolutional": 12}) is None


def test_misfitting_tensors_are_counted_and_the_first_few_named() -> None:
    expected = dict.fromkeys("abcde", (1,))
    found = {"e": (2, 3), "x": (1,)}

    with pytest.raises(WeightsError) as caught:
        check_tensors(expected, found, "file")

    assert str(caught.value) == (
        "file: the tensors do not fit the cfg: 4 missing (a, b, c and 1 more), 1 unexpected (x), "
        "1 of another shape (e: expected 1, found 2x3); are cfg and weights of the same network?"
    )


def test_only_shapes_are_compared_where_other_names_are_allowed() -> None:
    check_tensors({"a": (1,), "b": (2,)}, {"b": (2,), "x": (9,)}, "file", exact=False)
    with pytest.raises(WeightsError, match=r"1 of another shape \(b: expected 2, found a single number\)"):
        check_tensors({"b": (2,)}, {"b": ()}, "file", exact=False)
