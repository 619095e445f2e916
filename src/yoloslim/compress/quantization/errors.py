"""How far rounding takes every layer from float."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from yoloslim.compress.quantization.network import QuantizedNetwork
from yoloslim.nn.network import Network


def layer_sqnr(network: QuantizedNetwork, exact: Network, batches: Sequence[Tensor]) -> Mapping[str, float]:
    """Gives the signal-to-quantization-noise ratio of every quantized convolution's output, dB, all layers rounded.

    Ten times the logarithm of the power of the float output over that of the difference; infinite where they are equal.

    Args:
        exact: the float network.
        batches: pictures, shape (B, C, H, W), RGB in 0..1.
    """
    powers = {name: [0.0, 0.0] for name in network.plan.kernels}
    for batch in batches:
        for index in range(len(batch)):
            _add(powers, network, exact, batch[index : index + 1])
    return {name: _decibels(signal, noise) for name, (signal, noise) in powers.items()}


def _add(powers: Mapping[str, list[float]], network: QuantizedNetwork, exact: Network, image: Tensor) -> None:
    maps: dict[str, Tensor] = {}

    def keep(name: str, x: Tensor) -> Tensor:
        if name in powers:
            maps[name] = x
        return x

    def compare(name: str, x: Tensor) -> Tensor:
        if name in powers:
            expected = maps.pop(name).double()
            powers[name][0] += float(expected.square().sum())
            powers[name][1] += float((x.double() - expected).square().sum())
        return x

    with torch.inference_mode():
        exact(image, keep)
        network(image, compare)


def _decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf
