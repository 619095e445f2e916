"""Channels that are to go, brought to zero while the others learn to do without them.

A penalty on every gamma moves all of them, and what the network loses is known only after pruning. Here the channels
are chosen first and only they move, after Wang et al., Neural Pruning via Growing Regularization, 2021. At the end they
give nothing at all, so that pruning them changes nothing.
"""

from __future__ import annotations

import torch

from yoloslim.compress.sparsity.gammas import Channels, chosen_norms
from yoloslim.nn.network import Network

FADED = 0.5
"""Share of the training after which the chosen channels are at zero; the others settle while the rate is still high."""


class Fade:
    """Scales batch-norm's gamma and beta of chosen channels from 1 to 0 times their values, in equal steps.

    Args:
        network: whose batch-norms are changed in place.
        channels: to fade.
        steps: optimiser steps of the whole training.
    """

    def __init__(self, network: Network, channels: Channels, steps: int) -> None:
        self._channels = channels
        self._norms = chosen_norms(network, channels)
        self._last = max(1, round(FADED * steps))

    def step(self, done: int) -> None:
        """Takes the chosen channels from what step ``done - 1`` left of them to what step ``done`` leaves."""
        before = max(0, self._last - done + 1)
        left = max(0, self._last - done)
        self._scale(left / before if before else 0.0)

    def finish(self, network: Network, done: int) -> None:
        """Sets the chosen channels of another network of the same graph (an average) to 0 where they are here."""
        if done >= self._last:
            Fade(network, self._channels, 1)._scale(0.0)

    def _scale(self, factor: float) -> None:
        with torch.no_grad():
            for norm, chosen in self._norms:
                for values in (norm.weight, norm.bias):
                    values.copy_(torch.where(chosen.to(values.device), values * factor, values))
