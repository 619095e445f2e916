"""The L1 penalty on batch-norm scales that makes channels removable (Liu et al., Network Slimming, 2017).

The penalty is applied as its proximal step after the optimiser's: ``gamma`` moves towards 0 by ``rate * strength`` and
stops there. That is the same descent as adding ``strength * sign(gamma)`` to the gradient, but it reaches exact zeros,
does not depend on momentum or on how a gradient scaler scales, and cannot swing around zero.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from yoloslim.nn.layers.conv_block import ConvBlock
from yoloslim.nn.network import Network

SMALL = 0.01
"""Below this a gamma counts as small: its channel hardly varies."""


class GammaPenalty:
    """Shrinks the batch-norm scales of chosen channels.

    Args:
        network: whose scales are changed in place.
        channels: by node, shape (C,), True for the channels to shrink; nodes without batch-norm are passed over.
        strength: of the penalty, as added to the gradient of ``|gamma|``.
    """

    def __init__(self, network: Network, channels: Mapping[str, NDArray[np.bool_]], strength: float) -> None:
        self.strength = strength
        self._norms = chosen_norms(network, channels)

    def step(self, rate: float) -> None:
        """Moves every chosen gamma towards 0 by ``rate * strength``, at most to 0."""
        with torch.no_grad():
            for norm, chosen in self._norms:
                scale = norm.weight
                shrunk = scale.sign() * (scale.abs() - rate * self.strength).clamp(min=0)
                scale.copy_(torch.where(chosen.to(scale.device), shrunk, scale))

    def small_share(self) -> float:
        """Gives the share of the chosen gammas that are small, 0..1."""
        gammas = self.gammas()
        return float((gammas < SMALL).mean()) if len(gammas) else 0.0

    def gammas(self) -> NDArray[np.float64]:
        """Gives ``|gamma|`` of every chosen channel, in the order of the network."""
        chosen = [norm.weight.detach().cpu()[mask].abs().double() for norm, mask in self._norms]
        return torch.cat(chosen).numpy() if chosen else np.zeros(0)


def chosen_norms(network: Network, channels: Mapping[str, NDArray[np.bool_]]) -> list[tuple[nn.BatchNorm2d, Tensor]]:
    """Gives the batch-norms of the nodes with a chosen channel, each with its choice, shape (C,), on the CPU."""
    found: list[tuple[nn.BatchNorm2d, Tensor]] = []
    for name, chosen in channels.items():
        block = network.get_submodule(name)
        if isinstance(block, ConvBlock) and block.norm is not None and chosen.any():
            found.append((block.norm, torch.from_numpy(chosen)))
    return found


def auto_strength(gammas: NDArray[np.float64], total_rate: float, reach: float = 1.0) -> float:
    """Gives the strength at which the median gamma, if nothing held it, would just come to 0 over a training.

    Args:
        gammas: ``|gamma|`` of the channels to shrink.
        total_rate: sum of the rates of all steps.
        reach: the same for another multiple of the median.
    """
    return reach * float(np.median(gammas)) / total_rate if len(gammas) and total_rate > 0 else 0.0
