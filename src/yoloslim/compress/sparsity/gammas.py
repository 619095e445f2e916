"""Batch-norm scales: those of chosen channels, how large they are, and how they are spread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from yoloslim.nn.layers.conv_block import ConvBlock
from yoloslim.nn.network import Network

Channels = Mapping[str, NDArray[np.bool_]]
"""By node, shape (C,), True for chosen channels; nodes without batch-norm are passed over."""

SMALL, TINY = 1e-2, 1e-3
"""Below these shares of its layer's mean a gamma counts as small, and as tiny: its channel hardly varies."""


@dataclass(frozen=True, slots=True)
class Gammas:
    """Sizes of the gammas of chosen channels, in the order of the network.

    Attributes:
        sizes: ``|gamma|``, shape (N,).
        relative: the same as shares of the mean of the whole layer, shape (N,); 0 where all of it is 0.
    """

    sizes: NDArray[np.float64]
    relative: NDArray[np.float64]

    def share_below(self, threshold: float) -> float:
        """Gives the share of them that are below a share of their layer's mean, 0..1; 0 where there is none."""
        return float((self.relative < threshold).mean()) if len(self.relative) else 0.0

    @property
    def mean(self) -> float:
        """Their mean size; 0 where there is none."""
        return float(self.sizes.mean()) if len(self.sizes) else 0.0


def gammas_of(network: Network, channels: Channels) -> Gammas:
    """Gives the sizes of the gammas of chosen channels."""
    sizes, relative = [torch.zeros(0, dtype=torch.float64)], [torch.zeros(0, dtype=torch.float64)]
    for norm, chosen in chosen_norms(network, channels):
        layer = norm.weight.detach().cpu().double().abs()
        sizes.append(layer[chosen])
        relative.append((layer / layer.mean() if layer.any() else layer)[chosen])
    return Gammas(torch.cat(sizes).numpy(), torch.cat(relative).numpy())


def chosen_norms(network: Network, channels: Channels) -> list[tuple[nn.BatchNorm2d, Tensor]]:
    """Gives the batch-norms of the nodes with a chosen channel, each with its choice, shape (C,), on the CPU."""
    found: list[tuple[nn.BatchNorm2d, Tensor]] = []
    for name, chosen in channels.items():
        block = network.get_submodule(name)
        if isinstance(block, ConvBlock) and block.norm is not None and chosen.any():
            found.append((block.norm, torch.from_numpy(chosen)))
    return found
