"""The L1 penalty on batch-norm scales that makes channels removable (Liu et al., Network Slimming, 2017).

The penalty is applied as its proximal step after the optimiser's: ``gamma`` moves towards 0 by ``rate * strength`` and
stops there. That is the same descent as adding ``strength * sign(gamma)`` to the gradient, but it reaches exact zeros,
does not depend on momentum or on how a gradient scaler scales, and cannot swing around zero.
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


class Moved(NamedTuple):
    """Gammas of the layers that one step of a penalty looked at, one after the other, shape (N,) each."""

    before: Tensor
    after: Tensor


class GammaPenalty:
    """Shrinks the batch-norm scales of chosen channels.

    Args:
        network: whose scales are changed in place; those that take no gradient are left alone meanwhile.
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
        scales = [self._scales[index] for index in live]
        with torch.no_grad():
            before = torch.cat(scales)
            reach = self._joined(self._shares, live, before.device) * (rate * self.strength)
            if (left := self.schedule.left(progress)) < 1:  # what has come near zero is held there with all of it
                is_small = before.abs() < self._joined(self._small, live, before.device)
                reach = torch.where(is_small, reach, reach * left)
            after = before - before.clamp(-reach, reach)
            torch._foreach_copy_(scales, list(torch.split(after, [len(scale) for scale in scales])))
        return Moved(before, after)

    def finish(self, network: Network) -> None:
        """Sets those gammas of another network of the same graph (an average) to 0 that are 0 here."""
        with torch.no_grad():
            for scale, (norm, _) in zip(self._scales, chosen_norms(network, self._channels), strict=True):
                norm.weight.mul_((scale != 0).to(norm.weight.device))

    def distances(self) -> NDArray[np.float64]:
        """Gives, for every chosen gamma, the sum of ``rate * strength`` that would bring it to 0."""
        found = [torch.zeros(0, dtype=torch.float64)]
        for scale, share in zip(self._scales, self._shares, strict=True):
            found.append((scale.detach().double().abs() / share)[share > 0].cpu())
        return torch.cat(found).numpy()

    def _joined(self, parts: list[Tensor], live: list[int], device: torch.device) -> Tensor:
        """Those of the live layers; they move to the device of the network for good."""
        if parts[0].device != device:
            parts[:] = [part.to(device) for part in parts]
        return torch.cat([parts[index] for index in live])


def auto_strength(distances: NDArray[np.float64], total_rate: float, reach: float = 1.0) -> float:
    """Gives the strength at which the median gamma, if nothing held it, would just come to 0 over a training.

    Args:
        distances: of the channels to shrink, see `GammaPenalty.distances`.
        total_rate: sum of the rates of all steps, as the schedule weighs them.
        reach: the same for another multiple of the median.
    """
    return reach * float(np.median(distances)) / total_rate if len(distances) and total_rate > 0 else 0.0
