"""Biases that take back what rounding adds to each channel on average (Nagel et al., 2019)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from yoloslim.compress.quantization.folded_conv import FoldedConv
from yoloslim.compress.quantization.network import QuantizedNetwork
from yoloslim.nn.layers.conv_block import ConvBlock
from yoloslim.nn.network import Network


def with_corrected_biases(network: QuantizedNetwork, exact: Network, images: Tensor) -> QuantizedNetwork:
    """Gives the network whose sums have the means of the exact one's, channel by channel, on some pictures.

    Layers are corrected in the order of the network, each on what the corrected ones before it give.

    Args:
        exact: the float network, without batch-norm as the quantized one.
        images: shape (B, C, H, W), RGB in 0..1.
    """
    made = copy.deepcopy(network)
    means = sum_means(exact, list(network.plan.kernels), images)
    convs = made.folded_convs().items()
    handles = [conv.sums.register_forward_hook(partial(_correct, conv, means[name])) for name, conv in convs]
    with torch.no_grad():
        made(images)
    for handle in handles:
        handle.remove()
    return made


def sum_means(network: Network, names: Sequence[str], images: Tensor) -> Mapping[str, Tensor]:
    """Gives the mean of every channel of the sums of convolutions, before their activation, shape (O,) each."""
    means: dict[str, Tensor] = {}

    def see(name: str, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        means[name] = inputs[0].mean((0, 2, 3))

    blocks = {name: cast(ConvBlock, network.get_submodule(name)) for name in names}
    handles = [block.activation.register_forward_pre_hook(partial(see, name)) for name, block in blocks.items()]
    with torch.no_grad():
        network(images)
    for handle in handles:
        handle.remove()
    return means


def _correct(conv: FoldedConv, wanted: Tensor, place: nn.Module, inputs: tuple[Tensor, ...], sums: Tensor) -> Tensor:
    shift = wanted - sums.mean((0, 2, 3))
    cast(Tensor, conv.conv.bias).add_(shift)
    return sums + shift.view(1, -1, 1, 1)
