"""Layers that do not learn."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from yoloslim.graph.frozen import Stop
from yoloslim.nn.network import Network


def freeze(network: Network, stops: Sequence[Stop], step: int, names: Collection[str] = ()) -> None:
    """Sets, in place, which layers take gradients in a step of a training.

    Layers before one that never learns, and those frozen by name, compute as in use: their batch-norm keeps its
    statistics.

    Args:
        stops: of the network's graph.
        step: from 0.
        names: nodes that never learn.
    """
    frozen = max((stop.layers for stop in stops if stop.until is None or step < stop.until), default=0)
    in_use = max((stop.layers for stop in stops if stop.until is None), default=1) - 1
    for index, node in enumerate(network.graph):
        block = network.get_submodule(node.name)
        is_named = node.name in names
        block.requires_grad_(index >= frozen and not is_named)
        if index < in_use or is_named:
            block.eval()
