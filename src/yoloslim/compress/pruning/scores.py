"""How much each lane matters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from yoloslim.graph.graph import Graph
from yoloslim.graph.lanes import Lanes
from yoloslim.graph.ops import Convolution, Depthwise
from yoloslim.nn.layers.conv_block import ConvBlock
from yoloslim.nn.network import Network

Normalize = Literal["none", "layer"]
FloatArray = NDArray[np.float64]


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


def batch_norm_scores(
    scales: Mapping[str, FloatArray], lanes: Lanes, writing: tuple[str, ...], normalize: Normalize = "none"
) -> FloatArray:
    """Scores each lane by the largest ``|gamma|`` that writes it (Liu et al., 2017).

    The largest, because a lane shared through shortcuts is only free when no writer needs it. Lanes with a writer that
    has no batch-norm score infinity: nothing is known about them, so they stay.

    Args:
        scales: batch-norm scales by node, shape (C,) each.
        writing: nodes that write lanes.
        normalize: ``none`` compares raw values; ``layer`` divides by the layer's mean ``|gamma|``, so that every layer
            loses about the same share, those that sparse training has emptied included.

    Returns:
        Shape (lanes.count,); 0 for lanes that nothing writes.
    """
    scores = np.zeros(lanes.count)
    for node, gamma in scales.items():
        size = np.abs(gamma)
        mean = size.mean() if normalize == "layer" else 1.0
        np.maximum.at(scores, lanes.of[node], size / mean if mean > 0 else size)
    for node in writing:
        if node not in scales:
            scores[lanes.of[node]] = np.inf
    return scores
