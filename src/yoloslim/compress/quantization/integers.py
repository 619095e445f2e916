"""A quantized network as whole numbers on numpy: what is exported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yoloslim.compress.quantization.codes import Codes, Grid
from yoloslim.compress.quantization.fake_quantizer import Quantizer
from yoloslim.compress.quantization.network import QuantizedNetwork, check_calibrated
from yoloslim.compress.quantization.spec import QuantSpec
from yoloslim.compress.quantization.targets import find_target


@dataclass(frozen=True, slots=True)
class MapCodes:
    """The codes of a feature map, ``clamp(round(x / scale) + zero_point, spec.low, spec.high)``."""

    spec: QuantSpec
    scale: np.float32
    zero_point: int


@dataclass(frozen=True, slots=True)
class KernelCodes:
    """A convolution in whole numbers.

    Attributes:
        spec: of the weights.
        weight: int8, shape (O, I, k, k).
        scale: of the weights, float32, shape () or (O,).
        bias: int32, shape (O,), at the scale ``bias_scale``; 0 stands for 0 in both.
        bias_scale: that of the weights times that of the input, float32, shape (O,).
    """

    spec: QuantSpec
    weight: NDArray[np.int8]
    scale: NDArray[np.float32]
    bias: NDArray[np.int32]
    bias_scale: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Integers:
    """Everything of a quantized network that float tensors do not hold.

    Attributes:
        edges: by node, or ``image``: codes of its output.
        silent: nodes of ``edges`` that only pass codes on, where the target need not be told so again.
        before: by node: codes of its sums before the activation.
        kernels: by node: its weights and biases.
    """

    edges: Mapping[str, MapCodes]
    before: Mapping[str, MapCodes]
    kernels: Mapping[str, KernelCodes]
    silent: frozenset[str] = frozenset()


def integers_of(network: QuantizedNetwork) -> Integers:
    """Gives the whole numbers of a network.

    Raises:
        WeightsError: it is not calibrated.
    """
    check_calibrated(network, "quantized network")
    convs = network.folded_convs()
    edges = {node: _map_codes(network.scale(scale)) for node, scale in network.plan.edges.items()}
    before = {name: _map_codes(conv.rounded_sum) for name, conv in convs.items() if conv.rounded_sum is not None}
    kernels = {}
    for name, conv in convs.items():
        weight, bias = conv.kernel()
        kernels[name] = KernelCodes(
            conv.rounded_weight.spec,
            weight.integers.numpy().astype(np.int8),
            _numpy(weight.grid).reshape(() if conv.rounded_weight.spec.axis is None else -1),
            _bias(bias),
            _numpy(bias.grid),
        )
    passing = frozenset(node for node in edges if not network.is_rounded(node))
    return Integers(edges, before, kernels, frozenset() if find_target(network.plan.target).repeats else passing)


def _map_codes(quantizer: Quantizer) -> MapCodes:
    grid = quantizer.grid()
    return MapCodes(quantizer.spec, np.float32(grid.scale.detach().item()), int(grid.zero_point))


def _bias(codes: Codes) -> NDArray[np.int32]:
    return codes.integers.numpy().astype(np.int32)


def _numpy(grid: Grid) -> NDArray[np.float32]:
    found: NDArray[np.float32] = grid.scale.numpy().astype(np.float32)
    return found
