"""Head maps by a network in whole numbers, without torch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from yoloslim.compress.quantization.shifts import ShiftedNetwork
from yoloslim.graph.graph import IMAGE
from yoloslim.graph.ops import Yolo
from yoloslim.runtime.integer_ops import Map, on_codes


def integer_maps(network: ShiftedNetwork, image: Map) -> Iterator[tuple[str, Map]]:
    """Gives the whole numbers of the image and of every node that is computed, in order, by name.

    A map is forgotten behind its last reader. Nodes that nothing needs are passed over.

    Args:
        image: codes of pictures, shape (B, C, H, W).
    """
    last_reader = {name: node.name for node in network.graph for name in node.inputs}
    maps = {IMAGE: image}
    yield IMAGE, image
    for node in network.graph:
        if not is_computed(network, node.name):
            continue
        found = on_codes(node.op, node, network, [maps[name] for name in node.inputs])
        yield node.name, found
        maps[node.name] = found
        for name in {node.name, *node.inputs}:
            if last_reader.get(name, node.name) == node.name:
                del maps[name]


def is_computed(network: ShiftedNetwork, name: str) -> bool:
    """Whether a node is part of what the heads need."""
    return name in network.ranges or name in network.kernels or isinstance(network.graph[name].op, Yolo)


def head_values(network: ShiftedNetwork, name: str, found: Map) -> NDArray[np.float64]:
    """Gives what the numbers at a head stand for, (B, anchors, h, w, values of a box)."""
    node = network.graph[name]
    assert isinstance(node.op, Yolo)
    source = node.inputs[0]
    halvings = network.kernels[source].shift[:, None, None] if source not in network.ranges else None
    exponents = network.ranges[source].exponent if halvings is None else -halvings.astype(np.int32)
    batch, _, height, width = found.shape
    values = np.ldexp(found.astype(np.float64), exponents)
    return values.reshape(batch, len(node.op.mask), -1, height, width).transpose(0, 1, 3, 4, 2)


def exact_head_maps(network: ShiftedNetwork, batch: NDArray[np.float32]) -> list[NDArray[np.float64]]:
    """Gives one head map a head, in float64, which holds every one of them; arguments as of a backend."""
    heads = {node.name for node, _ in network.graph.heads}
    maps = integer_maps(network, network.image_codes(batch))
    return [head_values(network, name, found) for name, found in maps if name in heads]


class IntegerBackend:
    """Runs a network in whole numbers on numpy: to prove what hardware will compute, not to be fast."""

    def __init__(self, network: ShiftedNetwork) -> None:
        self._network = network

    def __call__(self, batch: NDArray[np.float32], /) -> list[NDArray[np.float32]]:
        """Gives one head map a head, (B, anchors, h, w, 5 + classes), for a batch (B, C, H, W), 0..1."""
        return [values.astype(np.float32) for values in exact_head_maps(self._network, batch)]
