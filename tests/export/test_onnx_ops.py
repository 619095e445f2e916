"""Every op computes in onnxruntime what it computes in torch."""

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from yoloslim.cfg.schema import ACTIVATIONS
from yoloslim.errors import TargetError
from yoloslim.export import onnx as export_module
from yoloslim.export.onnx import OPSET
from yoloslim.export.onnx_activations import ACTIVATIONS as WRITTEN
from yoloslim.export.onnx_activations import activated
from yoloslim.export.onnx_ops import to_onnx
from yoloslim.export.onnx_writer import NodeWriter, Value
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
from yoloslim.graph.shapes import output_shape
from yoloslim.nn.build import build_module
from yoloslim.nn.layers.activation import FUNCTIONS

Maps = list[NDArray[np.float32]]
shapes = st.builds(Shape, st.integers(1, 6), st.integers(1, 9), st.integers(1, 9))


def run_onnx(writer: NodeWriter, result: str, inputs: Maps, rank: int = 4) -> NDArray[np.float32]:
    """Runs what was written, without the optimiser, so that each operator answers for itself."""
    from onnx import TensorProto, checker, helper, numpy_helper

    names = [f"in{index}" for index in range(len(inputs))]
    infos = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", *x.shape[1:]])
        for n, x in zip(names, inputs, strict=True)
    ]
    nodes = [helper.make_node(n.kind, n.inputs, [n.output], n.name, **n.attributes) for n in writer.nodes]
    nodes.append(helper.make_node("Identity", [result], ["out"]))
    constants = [numpy_helper.from_array(values, name) for name, values in writer.constants.items()]
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [None] * rank)
    graph = helper.make_graph(nodes, "op", infos, [out], constants)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=export_module.IR_VERSION
    )
    checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return session.run(["out"], dict(zip(names, inputs, strict=True)))[0]


def both(op: Op, sides: list[Shape], batch: int = 2, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Gives the output of an op with random weights on random maps: onnxruntime's and torch's."""
    torch.manual_seed(seed)
    module = build_module(op, sides).eval()
    for name, tensor in module.state_dict().items():
        tensor.uniform_(0.5, 1.5) if name.endswith("running_var") else tensor.normal_()
    inputs = [np.random.default_rng(seed).normal(size=(batch, *side)).astype(np.float32) for side in sides]
    writer = NodeWriter("node", {f"node.{name}": tensor.numpy() for name, tensor in module.state_dict().items()})
    values = [Value(f"in{index}", side) for index, side in enumerate(sides)]
    result = writer.finish(to_onnx(op, writer, values))
    with torch.inference_mode():
        expected = module(*map(torch.from_numpy, inputs)).numpy()
    return run_onnx(writer, result, inputs, expected.ndim), expected


def check_equal(op: Op, sides: list[Shape], tolerance: float = 0.0) -> None:
    found, expected = both(op, sides)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * float(np.abs(expected).max()))
    if not isinstance(op, Yolo):
        assert found.shape[1:] == output_shape(op, sides)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_an_activation_gives_what_torch_gives(name: str) -> None:
    edges = [-8, -4, -3, -2, -1.0001, -1, -0.5, -0.0, 0.5, 1, 2, 3, 3.9, 4, 5, 6, 8, 20]
    x = np.concatenate([edges, np.linspace(-9, 9, 5382)]).astype(np.float32).reshape(2, 27, 10, 10)
    writer = NodeWriter("node", {})
    result = writer.finish(activated(writer, "in0", name))

    expected = FUNCTIONS[name](torch.from_numpy(x)).numpy()

    np.testing.assert_allclose(run_onnx(writer, result, [x]), expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS - {"gelu", "normalize_channels_softmax"}))
def test_an_activation_survives_large_values(name: str) -> None:
    x = np.array([-1e6, -1e4, -90, 90, 1e4, 1e6], np.float32).reshape(1, 2, 3, 1)
    writer = NodeWriter("node", {})
    result = writer.finish(activated(writer, "in0", name))

    expected = FUNCTIONS[name](torch.from_numpy(x)).numpy()

    np.testing.assert_allclose(run_onnx(writer, result, [x]), expected, rtol=1e-5, atol=1e-5)


def test_every_activation_of_a_cfg_can_be_written() -> None:
    assert WRITTEN.keys() == ACTIVATIONS


@settings(max_examples=40)
@given(side=shapes, size=st.integers(1, 5), strides=st.tuples(st.integers(1, 3), st.integers(1, 3)), data=st.data())
def test_a_max_pool_gives_exactly_what_torch_gives(
    side: Shape, size: int, strides: tuple[int, int], data: st.DataObject
) -> None:
    padding = data.draw(st.integers(max(0, size - min(side[1:])), 2 * size - 2))

    check_equal(MaxPool(size, *strides, padding), [side])


@pytest.mark.parametrize("pool", [MaxPool(2, 1, 1, 3), MaxPool(3, 1, 1, 6)])
def test_a_max_pool_with_windows_outside_of_the_map_is_refused(pool: MaxPool) -> None:
    with pytest.raises(
        TargetError, match=f"node: padding={pool.padding} puts whole windows of size={pool.size} outside"
    ):
        to_onnx(pool, NodeWriter("node", {}), [Value("in0", Shape(2, 5, 4))])


@settings(max_examples=40)
@given(side=shapes, size=st.integers(1, 5), strides=st.tuples(st.integers(1, 3), st.integers(1, 3)), data=st.data())
def test_a_local_mean_gives_what_torch_gives(
    side: Shape, size: int, strides: tuple[int, int], data: st.DataObject
) -> None:
    padding = data.draw(st.integers(max(0, size - min(side[1:])), max(2 * size - 2, size - min(side[1:]))))

    check_equal(LocalAvgPool(size, *strides, padding), [side], 2e-6)


@pytest.mark.parametrize("blur", [2, 3])
def test_a_blur_gives_what_torch_gives(blur: int) -> None:
    check_equal(MaxPool(3, 2, 2, 2, blur), [Shape(5, 9, 8)], 2e-6)
    check_equal(Convolution(4, 3, 2, 3, 1, activation="mish", blur=blur), [Shape(5, 9, 8)], 2e-6)


@pytest.mark.parametrize("out_channels", [1, 2, 3, 6])
def test_a_pool_over_channels_gives_exactly_what_torch_gives(out_channels: int) -> None:
    check_equal(MaxPoolDepth(out_channels), [Shape(6, 3, 4)])
    check_equal(MaxPoolDepth(out_channels), [Shape(7, 3, 4)])


@settings(max_examples=30)
@given(side=shapes, stride=st.integers(1, 4), scale=st.sampled_from([1.0, 0.5, 1 / 3]))
def test_an_upsample_gives_exactly_what_torch_gives(side: Shape, stride: int, scale: float) -> None:
    check_equal(Upsample(stride, scale), [side])


@settings(max_examples=30)
@given(parts=st.lists(st.integers(1, 4), min_size=1, max_size=3), groups=st.integers(1, 3), data=st.data())
def test_a_route_gives_exactly_what_torch_gives(parts: list[int], groups: int, data: st.DataObject) -> None:
    group_id = data.draw(st.integers(0, groups - 1))

    check_equal(Route(groups, group_id), [Shape(groups * part, 3, 2) for part in parts])


@settings(max_examples=30)
@given(
    counts=st.lists(st.integers(1, 6), min_size=2, max_size=4),
    activation=st.sampled_from(["linear", "leaky", "relu"]),
)
def test_a_shortcut_of_unequal_channels_gives_exactly_what_torch_gives(counts: list[int], activation: str) -> None:
    check_equal(Shortcut(activation), [Shape(count, 3, 2) for count in counts], 1e-7)


@settings(max_examples=30)
@given(
    counts=st.lists(st.integers(1, 6), min_size=2, max_size=4),
    weights=st.sampled_from(["per_feature", "per_channel"]),
    normalization=st.sampled_from(["none", "relu", "softmax"]),
)
def test_a_weighted_shortcut_gives_what_torch_gives(counts: list[int], weights: str, normalization: str) -> None:
    op = Shortcut("leaky", weights, normalization)
    found, expected = both(op, [Shape(count, 3, 2) for count in counts])

    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * max(1, float(np.abs(expected).max())))


def test_a_shortcut_of_a_larger_map_gives_exactly_what_torch_gives() -> None:
    check_equal(Shortcut("leaky"), [Shape(4, 5, 3), Shape(6, 10, 6), Shape(2, 15, 9)])


def test_a_product_gives_exactly_what_torch_gives() -> None:
    check_equal(Sam("leaky"), [Shape(4, 5, 3)] * 2)


@pytest.mark.parametrize("scaled", [False, True])
def test_a_crop_gives_exactly_what_torch_gives(scaled: bool) -> None:
    check_equal(Crop(3, 2, scaled), [Shape(4, 6, 7)])


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    op=st.builds(
        Convolution,
        filters=st.sampled_from([6, 12]),
        size=st.integers(1, 4),
        stride_x=st.integers(1, 3),
        stride_y=st.integers(1, 3),
        pad=st.integers(0, 3),
        dilation=st.integers(1, 2),
        groups=st.sampled_from([1, 2, 3, 6]),
        batch_norm=st.booleans(),
        activation=st.sampled_from(["linear", "leaky", "mish"]),
    )
)
def test_a_convolution_gives_what_torch_gives(op: Convolution) -> None:
    check_equal(op, [Shape(6, 9, 8)], 2e-6)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_depthwise_convolution_gives_what_torch_gives(batch_norm: bool) -> None:
    check_equal(Depthwise(6, 3, 2, 1, batch_norm=batch_norm, activation="relu6"), [Shape(6, 9, 8)], 2e-6)


def test_a_squeeze_excite_gives_what_torch_gives() -> None:
    check_equal(SqueezeExcite(3), [Shape(6, 9, 8)], 2e-6)


@pytest.mark.parametrize(
    ("op", "scales"), [(ScaleChannels("leaky"), (4, 1, 1)), (ScaleChannels("linear", True), (1, 5, 3))]
)
def test_scaled_channels_give_what_torch_gives(op: ScaleChannels, scales: tuple[int, int, int]) -> None:
    check_equal(op, [Shape(*scales), Shape(4, 5, 3)])


def test_an_average_pool_gives_what_torch_gives() -> None:
    check_equal(AvgPool(), [Shape(4, 5, 3)], 2e-6)


@pytest.mark.parametrize("op", [Reorg(2), Reorg3d(2), Reorg3d(3)])
def test_cells_become_channels_exactly_as_in_torch(op: Op) -> None:
    check_equal(op, [Shape(8, 6, 12)])


def test_a_head_gives_exactly_what_torch_gives() -> None:
    check_equal(Yolo((1, 0), ((1, 1), (2, 2)), 3), [Shape(16, 5, 3)])
    check_equal(Yolo((1, 0), ((1, 1), (2, 2)), 3, gaussian=True), [Shape(24, 5, 3)])


@pytest.mark.parametrize("op", [Contrastive(), Dropout(0.5), Empty(), Route(), Shortcut("linear")])
def test_what_does_nothing_is_not_written(op: Op) -> None:
    writer = NodeWriter("node", {})

    result = writer.finish(to_onnx(op, writer, [Value("in0", Shape(4, 5, 3))]))

    assert (result, writer.nodes) == ("in0", [])


def test_the_batch_norm_is_folded_in_float64() -> None:
    """A variance as small as in published weights (5e-45) leaves only the epsilon, 1e-6, under the root."""
    op = Convolution(2, batch_norm=True, activation="linear")
    tensors = {
        "node.conv.weight": np.array([[[[3.0]]], [[[0.5]]]], np.float32),
        "node.norm.weight": np.array([1, 2], np.float32),
        "node.norm.bias": np.array([0.25, -1], np.float32),
        "node.norm.running_mean": np.array([1e-3, 4], np.float32),
        "node.norm.running_var": np.array([5e-45, 4], np.float32),
    }
    writer = NodeWriter("node", tensors)

    to_onnx(op, writer, [Value("in0", Shape(1, 1, 1))])

    np.testing.assert_allclose(writer.constants["node.weight"].ravel(), [3e3, 0.5 / np.sqrt(1 + 2.5e-7)], rtol=1e-7)
    np.testing.assert_allclose(writer.constants["node.bias"], [0.25 - 1, -1 - 4 / np.sqrt(1 + 2.5e-7)], rtol=1e-6)
    assert len(writer.nodes) == 1


def test_an_op_without_a_rule_is_named() -> None:
    with pytest.raises(TypeError, match="no ONNX form for Op"):
        to_onnx(Op(), NodeWriter("node", {}), [])
