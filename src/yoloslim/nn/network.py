"""A graph that computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from yoloslim.errors import WeightsError
from yoloslim.graph.cost import total_cost
from yoloslim.graph.frozen import forward_only
from yoloslim.graph.graph import IMAGE, Graph, Node
from yoloslim.graph.ops import Convolution, Shape, Yolo
from yoloslim.graph.shapes import infer_shapes
from yoloslim.nn.build import build_module
from yoloslim.nn.layers.conv_block import ConvBlock, SharedConvBlock

Tap = Callable[[str, Tensor], Tensor]
"""Sees every node's output by name and gives the tensor that goes on in its place."""

MAX_FLOATS = 2**31
"""Most weights that are built: beyond every detector, and before memory runs out with no word of why."""


class Network(nn.Module):
    """The torch form of a graph; modules and state-dict keys carry the node names.

    Raises:
        CfgError: the graph asks for more than ``MAX_FLOATS`` weights, or its shapes do not fit.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        floats = total_cost(graph).weights_floats
        if floats > MAX_FLOATS:
            raise graph.section.error(f"the layers ask for {floats:,} weights; at most {MAX_FLOATS:,} can be built")
        shapes = infer_shapes(graph)
        for node in graph:
            self.add_module(node.name, self._block(node, [shapes[name] for name in node.inputs]))
        self._forward_only = forward_only(graph)
        self._last_reader = {name: node.name for node in graph for name in node.inputs}

    def _block(self, node: Node, inputs: Sequence[Shape]) -> nn.Module:
        if not node.weights_of:
            return build_module(node.op, inputs)
        return SharedConvBlock(cast(Convolution, node.op), cast(ConvBlock, self.get_submodule(node.weights_of)))

    def forward(self, images: Tensor, tap: Tap | None = None) -> list[Tensor]:
        """Gives the head maps.

        Args:
            images: shape (B, C, H, W), RGB in 0..1, H and W multiples of the largest stride.
            tap: replaces the output of each node.

        Returns:
            One tensor a head, shape (B, anchors, h, w, values of a box), raw: x, y, width and height, each with its
            uncertainty in a Gaussian head, objectness, classes.
        """
        outputs: dict[str, Tensor] = {IMAGE: images}
        heads: list[Tensor] = []
        for node in self.graph:
            result = cast(Tensor, self.get_submodule(node.name)(*[outputs[name] for name in node.inputs]))
            if node.name in self._forward_only:
                result = result.detach()
            if tap is not None:
                result = tap(node.name, result)
            if isinstance(node.op, Yolo):
                heads.append(result)
            outputs[node.name] = result
            for name in set(node.inputs):
                if self._last_reader[name] == node.name:
                    del outputs[name]  # frees the map as soon as nothing reads it any more
        return heads


def load_tensors(network: Network, tensors: Mapping[str, Tensor | NDArray[np.float32]]) -> None:
    """Copies tensors into the network by name; names that are not given keep their values.

    Raises:
        WeightsError: a name is unknown or a shape differs.
    """
    own = network.state_dict()
    for name, tensor in tensors.items():
        if name not in own:
            raise WeightsError(f"tensor {name} has no place in this network; do cfg and weights belong together?")
        if tuple(own[name].shape) != tuple(tensor.shape):
            found, expected = tuple(tensor.shape), tuple(own[name].shape)
            raise WeightsError(f"tensor {name} has shape {found}, the network expects {expected}")
        own[name].copy_(torch.as_tensor(tensor))
