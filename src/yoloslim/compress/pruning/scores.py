"""How much each channel matters to the layer that writes it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yoloslim.graph.graph import Graph
from yoloslim.graph.ops import Convolution, Depthwise
from yoloslim.nn.layers.conv_block import ConvBlock
from yoloslim.nn.network import Network

FloatArray = NDArray[np.float64]

ChannelScores = Mapping[str, FloatArray]
"""By node that writes lanes, a score of 0 or more for each of its channels, shape (C,); nodes may be missing."""

Score = Literal["gamma", "l1", "l2", "fpgm", "taylor", "random"]


def writers(graph: Graph) -> tuple[str, ...]:
    """Gives the nodes that write lanes: those with filters of their own, depthwise convolutions among them."""
    filtering = (node for node in graph if isinstance(node.op, Convolution | Depthwise))
    return tuple(node.name for node in filtering if not node.weights_of)


def gammas(network: Network) -> dict[str, FloatArray]:
    """Gives the batch-norm scales of every node that has them, shape (C,) each."""
    found: dict[str, FloatArray] = {}
    for name in writers(network.graph):
        block = network.get_submodule(name)
        if isinstance(block, ConvBlock) and block.norm is not None:
            found[name] = block.norm.weight.detach().double().cpu().numpy()
    return found


def gamma_scores(network: Network) -> dict[str, FloatArray]:
    """Gives ``|gamma|`` of every batch-norm (Liu et al., Network Slimming, 2017)."""
    return {name: np.abs(values) for name, values in gammas(network).items()}


def l1_scores(network: Network) -> dict[str, FloatArray]:
    """Gives the sum of absolute weights of every filter (Li et al., Pruning Filters for Efficient ConvNets, 2017)."""
    return _of_filters(network, lambda filters: filters.abs().sum(1))


def l2_scores(network: Network) -> dict[str, FloatArray]:
    """Gives the Euclidean norm of every filter (He et al., Soft Filter Pruning, 2018)."""
    return _of_filters(network, lambda filters: filters.norm(dim=1))


def fpgm_scores(network: Network) -> dict[str, FloatArray]:
    """Gives the sum of distances of every filter to the others of its layer (He et al., FPGM, 2019).

    The filter nearest to the geometric median of its layer is the one that the others can best stand in for.
    """
    return _of_filters(network, lambda filters: torch.cdist(filters, filters).sum(1))


def random_scores(network: Network, seed: int) -> dict[str, FloatArray]:
    """Gives numbers from 0 to 1 that depend on the seed and the node's name: what every other score has to beat."""
    return {
        name: np.random.default_rng((seed, zlib.crc32(name.encode()))).random(len(filters))
        for name, filters in _filters(network).items()
    }


DATA_FREE: Mapping[Score, Callable[[Network], ChannelScores]] = {
    "gamma": gamma_scores,
    "l1": l1_scores,
    "l2": l2_scores,
    "fpgm": fpgm_scores,
}
"""Scores that a network alone gives."""


def _of_filters(network: Network, measure: Callable[[Tensor], Tensor]) -> dict[str, FloatArray]:
    return {name: measure(filters).cpu().numpy() for name, filters in _filters(network).items()}


def _filters(network: Network) -> dict[str, Tensor]:
    """By node that writes lanes, its filters, float64, shape (C, weights of a filter)."""
    state = network.state_dict()
    return {name: state[f"{name}.conv.weight"].double().flatten(1) for name in writers(network.graph)}
