"""Channels of a map brought nearer to one range, as far as the weights that read them bear it (Xiao et al., 2023).

One scale has to do for all channels of a map, and the widest sets it. A channel is divided by a power of its range and
the weights that read it are multiplied: the power, one for each stretch of the network, is that with the least error to
expect of the rounded map and the rounded weights together. The network computes the same.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from yoloslim.compress.quantization.calibrate import watched_sums
from yoloslim.compress.quantization.equalize import (
    Stretch,
    apply_factors,
    block_of,
    by_input,
    free_stretches,
    normalized,
)
from yoloslim.graph.lanes import Lanes, trace_lanes
from yoloslim.nn.network import Network

_POWERS = tuple(step / 10 for step in range(11))
_NARROWEST = 1e-3  # of the widest channel: narrower ones are taken for as wide


@dataclass(frozen=True, slots=True)
class _Channels:
    """What the channels of a tensor are like on some pictures, each shape (C,).

    Attributes:
        low: the smallest value of a picture, 0 or below, mean over the pictures.
        high: the largest one, 0 or above, mean over the pictures.
        power: mean square.
    """

    low: Tensor
    high: Tensor
    power: Tensor

    def span(self, factors: Tensor) -> Tensor:
        """Gives the width of what one scale covers when the channels are divided by factors, shape ()."""
        return (self.high / factors).max() - (self.low / factors).min()


@dataclass(frozen=True, slots=True)
class _Seen:
    """What calibration sees.

    Attributes:
        maps: of every node.
        sums: of the convolutions whose sums are rounded before their activation.
    """

    maps: Mapping[str, _Channels]
    sums: Mapping[str, _Channels]


def balanced(network: Network, before: Collection[str], images: Tensor) -> Network:
    """Gives the network with channels that share a scale better; it computes the same.

    Args:
        network: without batch-norm, its weights equalised.
        before: convolutions whose sums are rounded before their activation.
        images: shape (B, C, H, W), RGB in 0..1.
    """
    made, lanes, seen = copy.deepcopy(network), trace_lanes(network.graph), _seen_by(network, before, images)
    for stretch in free_stretches(network.graph):
        widths = _widths(stretch, lanes, seen)
        choices = [normalized(widths**power, widths > 0) for power in _POWERS]
        error = partial(_error, made, stretch, lanes, seen)
        apply_factors(made, stretch, lanes, min(choices, key=error))
    return made


def _seen_by(network: Network, before: Collection[str], images: Tensor) -> _Seen:
    """Gives what maps and sums are like on some pictures."""
    maps: dict[str, _Channels] = {}
    sums: dict[str, _Channels] = {}

    def see(name: str, x: Tensor) -> Tensor:
        maps[name] = _channels(x)
        return x

    with torch.inference_mode(), watched_sums(network, before, lambda name, x: sums.update({name: _channels(x)})):
        network(images, see)
    return _Seen(maps, sums)


def _channels(x: Tensor) -> _Channels:
    low, high = x.amin((2, 3)).clamp(max=0), x.amax((2, 3)).clamp(min=0)
    return _Channels(*(part.double().mean(0) for part in (low, high, x.square().mean((2, 3)))))


def _widths(stretch: Stretch, lanes: Lanes, seen: _Seen) -> Tensor:
    """The largest value of every lane of a stretch, shape (lanes,); 0 for the others."""
    widths = torch.zeros(lanes.count, dtype=torch.float64)
    for name in stretch.maps:
        own = seen.sums.get(name, seen.maps[name])
        widths.scatter_reduce_(0, torch.from_numpy(lanes.of[name]), torch.maximum(own.high, -own.low), "amax")
    return torch.where(widths > 0, widths.clamp(min=_NARROWEST * float(widths.max())), widths)


def _error(network: Network, stretch: Stretch, lanes: Lanes, seen: _Seen, factors: Tensor) -> float:
    """The error to expect of what reads a stretch, against what it gives: of rounded maps, sums and weights."""
    of_sums = torch.zeros(lanes.count, dtype=torch.float64)
    for name in stretch.writers:
        if name in seen.sums:
            of_sums[lanes.of[name]] += seen.sums[name].span(factors[lanes.of[name]]).square()
    total = 0.0
    for name, source in stretch.readers:
        own, read = factors[lanes.of[source]], seen.maps[source]
        of_map = read.span(own).square() + of_sums[lanes.of[source]]
        total += _relative_error(block_of(network, name).conv, of_map, read.power / own.square(), own)
    return total


def _relative_error(conv: nn.Conv2d, of_map: Tensor, power: Tensor, factors: Tensor) -> float:
    """The error of a convolution's sums against themselves, all but for a constant, its inputs taken as independent.

    Args:
        of_map: squared width of what the scale of each input covers, shape (I,).
        power: mean square of each input, shape (I,).
        factors: that its weights are multiplied by, shape (I,).
    """
    by_group = (conv.groups, 1, -1, 1)
    weights = by_input(conv.weight.detach().double(), conv.groups) * factors.view(by_group)
    squares, power = weights.square(), power.view(by_group)  # (groups, O / groups, I / groups, k * k)
    of_weights = (2 * weights.abs().amax((2, 3))).square() * weights.shape[3] * power.sum((2, 3))
    error = (squares * of_map.view(by_group)).sum((2, 3)) + of_weights
    return float(error.sum() / (squares * power).sum().clamp(min=1e-30))
