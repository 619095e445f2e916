"""onnxruntime computes the codes that torch does."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from yoloslim.compress.quantization.calibrate import calibrated
from yoloslim.compress.quantization.integers import integers_of
from yoloslim.compress.quantization.network import QuantizedNetwork
from yoloslim.compress.quantization.place import Placement, place
from yoloslim.compress.quantization.spec import SCHEMES, QuantSpec, Scheme
from yoloslim.compress.quantization.targets import find_target
from yoloslim.errors import TargetError
from yoloslim.export.onnx import onnx_model
from yoloslim.graph.graph import Graph
from yoloslim.nn.network import Network
from yoloslim.recipes.export import float_tensors
from yoloslim.recipes.layer_parity import layer_parity
from yoloslim.runtime.onnx_backend import run_once
from yoloslim.weights.description import Description
from yoloslim.zoo.catalog import find, networks

CONVOLUTION = "[convolutional]\nfilters=8\nsize=3\npad=1\nbatch_normalize=1\nactivation={}"
LEAKY, RELU, MISH = (CONVOLUTION.format(name) for name in ("leaky", "relu", "mish"))
SECTIONS = [LEAKY, "[maxpool]\nsize=2\nstride=1", RELU, "[shortcut]\nfrom=-2", RELU, "[route]\nlayers=-1,-3"]
TWO = "power_of_two"
POWERS = Placement(weights=QuantSpec(symmetric=True, axis=0, scale=TWO), activations=QuantSpec(signed=False, scale=TWO))


def noise(graph: Graph, count: int = 2) -> torch.Tensor:
    return torch.rand(count, *graph.input_shape, generator=torch.Generator().manual_seed(5))


def model_of(network: QuantizedNetwork) -> onnx.ModelProto:
    return onnx_model(Description(network.graph), float_tensors(network), integers_of(network))


@pytest.mark.parametrize("optimised", [True, False])
@pytest.mark.parametrize("target", ["onnxruntime", "openvino", "tensorrt"])
@pytest.mark.parametrize("name", ["yolov3-tiny", "yolov4-tiny", "yolo-fastest-1.1", "yolov3tiny-mobilenetv3-small"])
def test_each_layer_gives_the_codes_of_torch(
    quantize: Callable[..., QuantizedNetwork], name: str, target: str, optimised: bool
) -> None:
    network = quantize(find(name, classes=3, size=(96, 64), width=0.25), Placement(target))

    found = layer_parity(network, noise(network.graph).numpy(), optimised=optimised, threads=1)

    assert found.holds, found
    assert found.layers == len(network.plan.kernels)


@pytest.mark.slow
@pytest.mark.parametrize("name", networks())
def test_each_layer_of_the_zoo_gives_the_codes_of_torch(quantize: Callable[..., QuantizedNetwork], name: str) -> None:
    network = quantize(find(name, size=(192, 160)))

    for optimised in (True, False):
        found = layer_parity(network, noise(network.graph, 1).numpy(), optimised=optimised)
        assert found.holds, found


@pytest.mark.parametrize("seed", range(3))
def test_head_maps_are_equal_at_powers_of_two(tiny: Callable[..., Graph], random_network, seed: int) -> None:
    network = random_network(tiny(*SECTIONS), seed)
    made = calibrated(network, place(network.graph, POWERS), [noise(network.graph)])
    assert float(made.scale("image").grid().scale) == 2**-8
    images = noise(network.graph)
    found = run_once(model_of(made).SerializeToString(), {"images": images.numpy()}, optimised=False, threads=1)

    with torch.no_grad():
        expected = made(images)
    assert len(found) == len(expected) == 1
    for ours, theirs in zip(found.values(), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs.numpy())


def test_a_file_holds_whole_numbers_and_no_float_weights(tiny: Callable[..., Graph], quantize) -> None:
    model = model_of(quantize(tiny(*SECTIONS)))

    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    kernels = {name: kind for name, kind in kinds.items() if name.endswith((".weight", ".bias"))}
    assert set(kernels.values()) == {onnx.TensorProto.INT8, onnx.TensorProto.INT32}
    assert len(kernels) == 8
    floats = [t for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT]
    assert max(np.prod(tensor.dims, initial=1) for tensor in floats) <= 16  # scales of channels


def test_inputs_of_every_convolution_are_codes(tiny: Callable[..., Graph], quantize) -> None:
    model = model_of(quantize(tiny(*SECTIONS)))
    makers = {output: node.op_type for node in model.graph.node for output in node.output}

    reads = [makers[name] for node in model.graph.node if node.op_type == "Conv" for name in node.input]

    assert Counter(reads) == {"DequantizeLinear": 12}


def test_below_eight_bits_values_are_clipped_before_their_codes(tiny: Callable[..., Graph], quantize) -> None:
    asked = Placement(activations=QuantSpec(5, signed=False), weights=QuantSpec(4, symmetric=True, axis=0))
    network = quantize(tiny(*SECTIONS), asked)

    model = model_of(network)
    found = layer_parity(network, noise(network.graph).numpy(), threads=1)

    assert sum(node.op_type == "Clip" for node in model.graph.node) > 0
    assert found.holds, found


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("bits", [2, 3, 4, 7, 8])
def test_each_layer_of_every_scheme_gives_the_codes_of_torch(
    tiny: Callable[..., Graph], quantize, scheme: Scheme, bits: int
) -> None:
    asked = Placement("onnxruntime", scheme, QuantSpec(bits, symmetric=True, axis=0), QuantSpec(bits, signed=False))
    network = quantize(tiny(*SECTIONS), asked)

    found = layer_parity(network, noise(network.graph).numpy(), threads=1)

    assert found.holds, found


@pytest.mark.parametrize(("scheme", "widest"), [("google", 4), ("lsq", 4), ("dorefa", 3)])
def test_weights_take_half_a_byte_where_their_codes_fit(tiny, quantize, scheme: Scheme, widest: int) -> None:
    kinds = {}
    for bits in (widest, widest + 1):
        network = quantize(tiny(LEAKY), Placement("onnxruntime", scheme, QuantSpec(bits, symmetric=True, axis=0)))
        kinds[bits] = {t.data_type for t in model_of(network).graph.initializer if t.name.endswith("l.weight")}

    assert kinds == {widest: {onnx.TensorProto.INT4}, widest + 1: {onnx.TensorProto.INT8}}


def test_halves_to_even_of_an_fpga_are_exported(tiny: Callable[..., Graph], quantize) -> None:
    fpga = find_target("fpga")
    weights, maps = (replace(spec, rounding="half_even") for spec in (fpga.weights, fpga.activations))
    network = quantize(tiny(*SECTIONS), Placement("fpga", "google", weights, maps))
    images = noise(network.graph)

    found = run_once(model_of(network).SerializeToString(), {"images": images.numpy()}, optimised=False, threads=1)

    with torch.no_grad():
        np.testing.assert_array_equal(next(iter(found.values())), network(images)[0].numpy())


def test_a_rounding_that_onnx_has_not_is_refused(tiny: Callable[..., Graph], random_network) -> None:
    network: Network = random_network(tiny(LEAKY))
    made = calibrated(network, place(network.graph, Placement("fpga")), [noise(network.graph)])

    with pytest.raises(
        TargetError, match="this network was quantized with half_away: quantize it again with rounding half_even"
    ):
        model_of(made)


def test_weights_of_four_bits_take_half_a_byte(tiny: Callable[..., Graph], quantize) -> None:
    network = quantize(tiny(*SECTIONS), Placement(weight_bits={"002_convolutional": 4}))

    model = model_of(network)

    kinds = {t.name: (t.data_type, len(t.raw_data)) for t in model.graph.initializer if t.name.endswith("l.weight")}
    assert kinds["002_convolutional.weight"] == (onnx.TensorProto.INT4, 8 * 8 * 9 // 2)
    assert kinds["000_convolutional.weight"] == (onnx.TensorProto.INT8, 8 * 3 * 9)
    images = noise(network.graph)
    found = run_once(model.SerializeToString(), {"images": images.numpy()}, optimised=False, threads=1)
    with torch.no_grad():
        expected = network(images)[0].numpy()
    assert float(np.abs(found["007_yolo"] - expected).max()) < 0.05 * float(np.abs(expected).max())
