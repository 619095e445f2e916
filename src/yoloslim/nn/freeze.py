"""Layers that do not learn."""

from __future__ import annotations

from collections.abc import Sequence

from yoloslim.graph.frozen import Stop
from yoloslim.nn.network import Network


def freeze(network: Network, stops: Sequence[Stop], step: int) -> None:
    """Sets, in place, which layers take gradients in a step of a training.

    Layers before one that never learns compute as in use: their batch-norm keeps its statistics.

    Args:
        stops: of the network's graph.
        step: from 0.
    """
    frozen = max((stop.layers for stop in stops if stop.until is None or step < stop.until), default=0)
    in_use = max((stop.layers for stop in stops if stop.until is None), default=1) - 1
    for index, node in enumerate(network.graph):
        block = network.get_submodule(node.name)
        block.requires_grad_(index >= frozen)
        if index < in_use:
            block.eval()
