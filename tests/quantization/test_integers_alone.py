"""A network in whole numbers computes what the one that rounds does, bit for bit."""

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from yoloslim.compress.quantization.network import QuantizedNetwork
from yoloslim.compress.quantization.place import Placement
from yoloslim.compress.quantization.spec import QuantSpec
from yoloslim.compress.quantization.to_shifts import shifted
from yoloslim.graph.graph import IMAGE, Graph
from yoloslim.runtime.integers import exact_head_maps, integer_maps

CONVOLUTION = "[convolutional]\nfilters=8\nsize=3\npad=1\nbatch_normalize=1\nactivation={}"
LEAKY, RELU6, LINEAR = (CONVOLUTION.format(name) for name in ("leaky", "relu6", "linear"))
FPGA = Placement("fpga")
SHIFTS = QuantSpec(symmetric=True, scale="power_of_two", rounding="half_away")


def rounded_in_float64(network: QuantizedNetwork, batch: np.ndarray) -> list[np.ndarray]:
    with torch.inference_mode():
        heads = copy.deepcopy(network).double()(torch.from_numpy(batch).double())
    return [head.numpy() for head in heads]


def assert_equal_heads(network: QuantizedNetwork, batch: np.ndarray) -> None:
    found, expected = exact_head_maps(shifted(network), batch), rounded_in_float64(network, batch)
    assert len(found) == len(expected) > 0
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert len(np.unique(ours)) > 20  # not all 0, nor saturated


def noise(graph: Graph, count: int = 2) -> np.ndarray:
    return np.random.default_rng(5).random((count, *graph.input_shape), dtype=np.float32)


@pytest.mark.parametrize(
    "sections",
    [
        (LEAKY, LEAKY),
        (RELU6, LINEAR),
        (LEAKY + "\nstride=2", LEAKY + "\ngroups=4", "[upsample]\nstride=2"),
        (LEAKY, CONVOLUTION.format("leaky").replace("pad=1", "padding=2\ndilation=2"), LEAKY),
        (LEAKY, "[depthwise]\nfilters=8\nsize=3\nstride=2\npad=1\nbatch_normalize=1\nactivation=relu", LEAKY),
        (
            LEAKY,
            "[maxpool]\nsize=2\nstride=1",
            LEAKY,
            "[maxpool]\nsize=2\nstride=2",
            "[dropout]\nprobability=.5",
            LEAKY,
        ),
        ("[maxpool]\nsize=3\nstride=2", LEAKY),
        (
            LEAKY,
            "[maxpool]\nsize=5\nstride=1",
            "[route]\nlayers=-2",
            "[maxpool]\nsize=7\nstride=1",
            "[route]\nlayers=-1,-3",
        ),
        (LEAKY, "[route]\nlayers=-1\ngroups=2\ngroup_id=1", LEAKY, "[route]\nlayers=-1,-3", LEAKY),
        (LEAKY, LEAKY, "[shortcut]\nfrom=-2\nactivation=linear", LEAKY),
        (LEAKY, RELU6.replace("filters=8", "filters=4"), "[shortcut]\nfrom=-2\nactivation=relu6", LEAKY),
        (LEAKY, LEAKY + "\nstride=2", "[shortcut]\nfrom=-2\nactivation=relu", LEAKY),
    ],
)
def test_head_maps_are_those_of_the_network_that_rounds(
    tiny: Callable[..., Graph], quantize: Callable[..., QuantizedNetwork], sections: tuple[str, ...]
) -> None:
    network = quantize(tiny(*sections), FPGA)

    assert_equal_heads(network, noise(network.graph))


@pytest.mark.parametrize(
    "asked",
    [
        Placement("fpga", weights=replace(SHIFTS, axis=0, bits=4), activations=replace(SHIFTS, bits=5)),
        Placement("fpga", weights=SHIFTS, activations=replace(SHIFTS, rounding="half_even")),
        Placement("fpga", activations=replace(SHIFTS, signed=False)),
    ],
)
def test_other_bits_and_roundings_are_computed_too(
    tiny: Callable[..., Graph], quantize: Callable[..., QuantizedNetwork], asked: Placement
) -> None:
    network = quantize(tiny(LEAKY, RELU6, "[shortcut]\nfrom=-2", LEAKY), asked)

    assert_equal_heads(network, noise(network.graph))


def test_every_map_on_the_way_is_equal_too(
    tiny: Callable[..., Graph], quantize: Callable[..., QuantizedNetwork]
) -> None:
    network = quantize(tiny(LEAKY, "[maxpool]\nsize=2\nstride=2", LEAKY), FPGA)
    batch = noise(network.graph)
    expected: dict[str, torch.Tensor] = {}
    whole = shifted(network)

    with torch.inference_mode():
        copy.deepcopy(network).double()(torch.from_numpy(batch).double(), lambda name, x: expected.setdefault(name, x))
    maps = dict(integer_maps(whole, whole.image_codes(batch)))

    assert [IMAGE, *expected] == list(maps)
    for name, codes in whole.ranges.items():
        if name != IMAGE:
            np.testing.assert_array_equal(maps[name] * 2.0**codes.exponent, expected[name].numpy())
