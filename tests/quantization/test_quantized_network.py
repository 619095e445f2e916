"""Networks that round: folding, calibration, and what integers give."""

from collections.abc import Callable

import pytest
import torch

from yoloslim.compress.quantization.calibrate import calibrated, collected
from yoloslim.compress.quantization.codes import from_codes
from yoloslim.compress.quantization.fold_norms import with_folded_norms
from yoloslim.compress.quantization.network import QuantizedNetwork, check_calibrated, float_network, quantized
from yoloslim.compress.quantization.observers import OBSERVERS
from yoloslim.compress.quantization.place import Placement, place
from yoloslim.compress.quantization.spec import QuantSpec
from yoloslim.errors import DataError, WeightsError
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.to_cfg import to_cfg
from yoloslim.nn.network import Network

CONVOLUTION = "[convolutional]\nfilters=8\nsize=3\npad=1\nbatch_normalize=1\nactivation={}"
LEAKY, RELU, MISH = (CONVOLUTION.format(name) for name in ("leaky", "relu", "mish"))
SECTIONS = [LEAKY, "[maxpool]\nsize=2\nstride=1", RELU, "[shortcut]\nfrom=-2", MISH, "[route]\nlayers=-1,-3"]


def noise(graph: Graph) -> torch.Tensor:
    return torch.rand(2, *graph.input_shape, generator=torch.Generator().manual_seed(5))


@torch.no_grad()
def difference(found: Network, expected: Network) -> float:
    """How far two networks' head maps of noise are apart, relative to the largest value."""
    images = noise(found.graph)
    pairs = zip(found(images), expected(images), strict=True)
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)


@pytest.mark.parametrize("observer", sorted(OBSERVERS))
@pytest.mark.parametrize("target", ["onnxruntime", "openvino", "tensorrt"])
def test_eight_bits_are_near_float(
    tiny: Callable[..., Graph], quantize: Callable[..., QuantizedNetwork], random_network, observer: str, target: str
) -> None:
    graph = tiny(*SECTIONS)

    assert 0 < difference(quantize(graph, Placement(target), observer), random_network(graph)) < 0.15


def test_fewer_bits_are_further_from_float(tiny, quantize, random_network) -> None:
    graph = tiny(*SECTIONS)
    specs = [QuantSpec(bits, symmetric=True, axis=0) for bits in (8, 4, 3)]

    errors = [difference(quantize(graph, Placement(weights=spec)), random_network(graph)) for spec in specs]

    assert errors == sorted(errors)
    assert errors[0] < errors[-1] / 2


def test_a_network_without_batch_norm_computes_the_same(tiny, random_network) -> None:
    depthwise = "[depthwise]\nsize=3\npad=1\nbatch_normalize=1\nactivation=relu"
    network = random_network(tiny(*SECTIONS, depthwise))

    plain = with_folded_norms(network)

    assert difference(plain, network) < 1e-5
    assert "batch_normalize=1" not in to_cfg(plain.graph)
    assert parse_cfg(to_cfg(plain.graph)).nodes[0].op == plain.graph.nodes[0].op


def test_every_value_of_a_coded_map_is_a_code(tiny, quantize) -> None:
    network = quantize(tiny(*SECTIONS))
    maps: dict[str, torch.Tensor] = {}

    def keep(name: str, x: torch.Tensor) -> torch.Tensor:
        maps[name] = x
        return x

    with torch.no_grad():
        network(noise(network.graph), keep)

    assert set(network.plan.edges) - {"image"} < maps.keys()
    for name in set(network.plan.edges) - {"image"}:
        quantizer = network.scale(network.plan.edges[name])
        integers, grid = quantizer.codes(maps[name])
        assert torch.equal(from_codes(integers.float(), grid, quantizer.spec), maps[name]), name


def test_the_float_network_of_a_quantized_one_is_what_it_was_made_of(tiny, quantize, random_network) -> None:
    graph = tiny(*SECTIONS)
    expected = random_network(graph).state_dict()

    found = float_network(quantize(graph)).state_dict()

    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_convolution_of_dead_channels_keeps_its_biases(tiny) -> None:
    network = Network(tiny(RELU)).eval()
    state = network.state_dict()
    state["000_convolutional.conv.weight"].mul_(1e-12)
    state["000_convolutional.norm.bias"].fill_(0.7)

    made = calibrated(network, place(network.graph, Placement()), [noise(network.graph)])

    assert difference(made, network) < 0.02
    assert int(made.folded_convs()["000_convolutional"].kernel().bias.integers.abs().max()) <= 2**31 - 1


def test_calibration_without_pictures_is_refused(tiny, random_network) -> None:
    network = random_network(tiny(LEAKY))

    with pytest.raises(DataError, match="calibration needs pictures, found none: give a data file"):
        collected(network, place(network.graph, Placement()), [])


def test_a_network_that_was_not_calibrated_is_refused(tiny, random_network) -> None:
    network = random_network(tiny(LEAKY))

    with pytest.raises(WeightsError, match=r"net: 4 ranges are not known .*; run yoloslim quantize --data FILE"):
        check_calibrated(quantized(network, place(network.graph, Placement())), "net")


def test_training_folds_the_statistics_of_the_batch_until_they_are_frozen(tiny, quantize) -> None:
    network = quantize(tiny(RELU)).train()
    conv = network.folded_convs()["000_convolutional"]
    images = noise(network.graph)
    before = conv.norm.running_mean.clone()

    network(images)
    moved = conv.norm.running_mean.clone()
    conv.has_frozen_statistics = True
    network(images)

    assert not torch.equal(before, moved)
    assert torch.equal(conv.norm.running_mean, moved)


def test_batch_statistics_of_a_folded_convolution_are_those_of_batch_norm(tiny, quantize, random_network) -> None:
    graph = tiny(RELU)
    network, plain = quantize(graph).train(), random_network(graph).train()
    images = (noise(graph) * 255).round() / 255

    network(images)
    plain(images)

    ours, theirs = network.state_dict(), plain.state_dict()
    for key in ("running_mean", "running_var"):
        name = f"000_convolutional.norm.{key}"
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-4, atol=1e-5)


def test_every_weight_of_a_quantized_network_learns(tiny, quantize) -> None:
    network = quantize(tiny(*SECTIONS)).train()

    sum(head.square().mean() for head in network(noise(network.graph))).backward()

    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        assert float(parameter.grad.abs().sum()) > 0, name
