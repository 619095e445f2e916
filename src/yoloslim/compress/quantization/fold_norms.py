"""A network without batch-norm: its convolutions do that work too."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from yoloslim.graph.graph import Graph, Node
from yoloslim.graph.ops import Convolution, Depthwise
from yoloslim.nn.layers.conv_block import ConvBlock
from yoloslim.nn.network import Network, load_tensors


def with_folded_norms(network: Network) -> Network:
    """Gives the network that computes the same without batch-norm, which its cfg then no longer has."""
    plain = Network(folded_graph(network.graph))
    load_tensors(plain, {name: tensor for node in network.graph for name, tensor in _tensors(network, node).items()})
    return plain.train(network.training)


def folded_graph(graph: Graph) -> Graph:
    """Gives the network's cfg without batch-norm."""
    return replace(graph, nodes=tuple(map(_without_norm, graph)))


def _without_norm(node: Node) -> Node:
    if isinstance(node.op, Convolution | Depthwise) and node.op.batch_norm:
        return replace(node, op=replace(node.op, batch_norm=False))
    return node


def _tensors(network: Network, node: Node) -> dict[str, Tensor]:
    block = network.get_submodule(node.name)
    if not isinstance(block, ConvBlock) or block.norm is None:
        return {f"{node.name}.{key}": tensor for key, tensor in block.state_dict().items()}
    weight, norm = block.conv.weight, block.norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    with torch.no_grad():
        scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
        bias = norm.bias.double() - norm.running_mean.double() * scale
        folded = weight.double() * scale.view(-1, 1, 1, 1)
    return {f"{node.name}.conv.weight": folded.to(weight), f"{node.name}.conv.bias": bias.to(weight)}
