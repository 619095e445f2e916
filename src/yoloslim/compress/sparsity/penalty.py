"""The L1 penalty on batch-norm scales that makes channels removable (Liu et al., Network Slimming, 2017).

The penalty is applied as its proximal step after the optimiser's: ``gamma`` moves towards 0 by ``rate * strength`` and
stops there. That is the same descent as adding ``strength * sign(gamma)`` to the gradient, but it reaches exact zeros,
does not depend on momentum or on how a gradient scaler scales, and cannot swing around zero.

A channel whose gamma is 0 still gives the constant ``act(beta)``, which the layers after it lose at zero-padded borders
when the channel goes. Nobody needs it, so its beta is brought to 0 as well.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yoloslim.compress.sparsity.gammas import SMALL, Channels, chosen_norms
from yoloslim.compress.sparsity.schedule import CONSTANT, Schedule
from yoloslim.nn.network import Network

BIAS_PACE = 10.0
"""How much faster than gammas the betas of channels without gamma come to 0."""


class Moved(NamedTuple):
    """Gammas of the layers that one step of a penalty looked at, one after the other, shape (N,) each."""

    before: Tensor
    after: Tensor


class GammaPenalty:
    """Shrinks the batch-norm scales of chosen channels, and the biases of those whose scale has come to 0.

    Args:
        network: whose batch-norms are changed in place; those that take no gradient are left alone meanwhile.
        channels: to shrink.
        strength: of the penalty, as added to the gradient of ``|gamma|``.
        schedule: how the strength differs between layers and over time.
    """

    def __init__(self, network: Network, channels: Channels, strength: float, schedule: Schedule = CONSTANT) -> None:
        self.strength = strength
        self.schedule = schedule
        self._channels = channels
        norms = chosen_norms(network, channels)
        means = [float(norm.weight.detach().abs().mean()) for norm, _ in norms]
        self._scales: list[Tensor] = [norm.weight for norm, _ in norms]
        self._biases: list[Tensor] = [norm.bias for norm, _ in norms]
        pairs = zip(norms, schedule.shares(means), strict=True)
        self._shares = [chosen.to(norm.weight.dtype) * share for (norm, chosen), share in pairs]
        self._small = [torch.full_like(share, SMALL * mean) for share, mean in zip(self._shares, means, strict=True)]

    def step(self, rate: float, progress: float = 0.0) -> Moved:
        """Moves every chosen gamma towards 0 by ``rate * strength`` and its layer's share of it, at most to 0.

        Args:
            progress: share of the training that is done, 0..1.
        """
        live = [index for index, scale in enumerate(self._scales) if scale.requires_grad]
        if not live:
            return Moved(torch.zeros(0), torch.zeros(0))
        with torch.no_grad():
            before = _joined(self._scales, live)
            whole = _joined(self._on(self._shares, before.device), live) * (rate * self.strength)
            after = _nearer_zero(before, self._reach(before, whole, live, progress))
            _spread(after, self._scales, live)
            biases = _joined(self._biases, live)
            _spread(_nearer_zero(biases, whole * (BIAS_PACE * (after == 0))), self._biases, live)
        return Moved(before, after)

    def finish(self, network: Network) -> None:
        """Sets those gammas of another network of the same graph (an average) to 0 that are 0 here; their betas too."""
        with torch.no_grad():
            places = zip(self._scales, self._biases, chosen_norms(network, self._channels), strict=True)
            for scale, bias, (norm, _) in places:
                norm.weight.mul_((scale != 0).to(norm.weight.device))
                norm.bias.mul_(((scale != 0) | (bias != 0)).to(norm.bias.device))

    def _reach(self, gammas: Tensor, whole: Tensor, live: list[int], progress: float) -> Tensor:
        """How far each gamma is moved; what has come near zero is held there by the whole strength."""
        left = self.schedule.left(progress)
        if left == 1:
            return whole
        is_small = gammas.abs() < _joined(self._on(self._small, gammas.device), live)
        return torch.where(is_small, whole, whole * left)

    def _on(self, parts: list[Tensor], device: torch.device) -> list[Tensor]:
        """The parts, which move to the device of the network for good."""
        if parts[0].device != device:
            parts[:] = [part.to(device) for part in parts]
        return parts

    def distances(self) -> NDArray[np.float64]:
        """Gives, for every chosen gamma, the sum of ``rate * strength`` that would bring it to 0."""
        found = [torch.zeros(0, dtype=torch.float64)]
        for scale, share in zip(self._scales, self._shares, strict=True):
            found.append((scale.detach().double().abs() / share)[share > 0].cpu())
        return torch.cat(found).numpy()


def _joined(parts: list[Tensor], live: list[int]) -> Tensor:
    return torch.cat([parts[index] for index in live])


def _spread(values: Tensor, parts: list[Tensor], live: list[int]) -> None:
    parts = [parts[index] for index in live]
    torch._foreach_copy_(parts, list(torch.split(values, [len(part) for part in parts])))


def _nearer_zero(values: Tensor, reach: Tensor) -> Tensor:
    return values - values.clamp(-reach, reach)


def auto_strength(distances: NDArray[np.float64], total_rate: float, reach: float = 1.0) -> float:
    """Gives the strength at which the median gamma, if nothing held it, would just come to 0 over a training.

    Args:
        distances: of the channels to shrink, see `GammaPenalty.distances`.
        total_rate: sum of the rates of all steps, as the schedule weighs them.
        reach: the same for another multiple of the median.
    """
    return reach * float(np.median(distances)) / total_rate if len(distances) and total_rate > 0 else 0.0
