"""Which convolutions lose most on integers, and as few of them in float as a budget of AP50 asks for."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from yoloslim.compress.quantization.network import QuantizedNetwork
from yoloslim.nn.network import Network

Accuracy = Callable[[Network], float]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The convolutions that stay in float.

    Attributes:
        sensitivity: AP50 with that one convolution in float, by name; empty where nothing had to stay.
    """

    network: QuantizedNetwork
    kept: tuple[str, ...]
    sensitivity: Mapping[str, float]


def fewest_in_float(
    network: QuantizedNetwork,
    exact: Network,
    accuracy: Accuracy,
    map_drop: float,
    remade: Callable[[tuple[str, ...]], QuantizedNetwork],
) -> Chosen:
    """Gives the network with the most sensitive convolutions in float, one more until it loses no more than it may.

    Args:
        exact: the float network.
        map_drop: AP50 that may be lost, 0..1.
        remade: gives the quantized network with these convolutions in float.
    """
    least = accuracy(exact) - map_drop
    if accuracy(network) >= least:
        return Chosen(network, (), {})
    found = sensitivities(network, exact, accuracy)
    order = sorted(found, key=found.__getitem__, reverse=True)
    made = network
    kept: tuple[str, ...] = ()
    for count in range(1, len(order)):
        kept = tuple(order[:count])
        made = remade(kept)
        if accuracy(made) >= least:
            break
    return Chosen(made, kept, found)


def sensitivities(network: QuantizedNetwork, exact: Network, accuracy: Accuracy) -> dict[str, float]:
    """Gives the AP50 with each single convolution in float, by name, maps rounded as before."""
    found = {}
    for name in network.plan.kernels:
        made = copy.deepcopy(network)
        setattr(made, name, copy.deepcopy(exact.get_submodule(name)))
        found[name] = accuracy(made)
    return found
