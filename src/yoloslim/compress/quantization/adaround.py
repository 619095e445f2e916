"""Weights rounded up or down, whichever gives the better sums: AdaRound (Nagel et al., 2020)."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yoloslim.compress.quantization.codes import Grid, along_axis, from_codes
from yoloslim.compress.quantization.folded_conv import FoldedConv
from yoloslim.compress.quantization.network import QuantizedNetwork
from yoloslim.nn.network import Network

_LOW, _HIGH = -0.1, 1.1  # of the stretched sigmoid, equation 23
_RATE = 0.01
_FREE = 0.2  # share of the steps without the term that makes decisions
_STRENGTH = 0.01  # of that term
_EXPONENTS = (20.0, 2.0)  # of that term, from the first step to the last


def with_learned_rounding(network: QuantizedNetwork, exact: Network, images: Tensor, steps: int) -> QuantizedNetwork:
    """Gives the network whose weights are rounded so that the sums of each layer are nearest to the float ones.

    Layers learn in the order of the network, each on what the rounded ones before it give.

    Args:
        exact: the float network, without batch-norm as the quantized one.
        images: shape (B, C, H, W), RGB in 0..1.
        steps: of each layer.
    """
    made = copy.deepcopy(network)
    for name, conv in made.folded_convs().items():
        wanted = _seen(exact, exact.get_submodule(name).get_submodule("conv"), images)[1]
        read = _seen(made, conv, images)[0]
        _learn(conv, read, wanted, steps)
    return made


def _seen(network: Network, module: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """What a module of a network reads and gives for some pictures."""
    found: list[tuple[Tensor, Tensor]] = []
    handle = module.register_forward_hook(lambda _, inputs, output: found.append((inputs[0], output)))
    with torch.no_grad():
        network(images)
    handle.remove()
    return found[0]


def _learn(conv: FoldedConv, read: Tensor, wanted: Tensor, steps: int) -> None:
    """Sets the weights, in place, to values whose nearest codes are the learned ones."""
    weight, bias = (tensor.detach() for tensor in conv.folded())
    spec, grid = conv.rounded_weight.spec, conv.kernel().weight.grid
    scale, zero_point = along_axis(grid, weight, spec)
    down = torch.floor(weight / scale)
    rest = weight / scale - down
    choice = torch.logit(((rest - _LOW) / (_HIGH - _LOW)).clamp(1e-4, 1 - 1e-4)).requires_grad_()
    optimizer = torch.optim.Adam([choice], lr=_RATE)
    generator = torch.Generator().manual_seed(0)
    for step in range(steps):
        picture = int(torch.randint(len(read), (1,), generator=generator))
        up = _soft(choice)
        rounded = (down + up + zero_point).clamp(spec.low, spec.high) - zero_point
        sums = conv.convolved(read[picture : picture + 1], rounded * scale, bias)
        loss = F.mse_loss(sums, wanted[picture : picture + 1]) / wanted.var().clamp(min=1e-12)
        loss = loss + _undecided(up, step / steps)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        codes = (down + (_soft(choice) >= 0.5) + zero_point).clamp(spec.low, spec.high)
        conv.conv.weight.copy_(from_codes(codes, Grid(grid.scale, grid.zero_point), spec))


def _soft(choice: Tensor) -> Tensor:
    """The share of a step up, 0..1: a sigmoid that reaches its ends."""
    return (torch.sigmoid(choice) * (_HIGH - _LOW) + _LOW).clamp(0, 1)


def _undecided(up: Tensor, progress: float) -> Tensor:
    """What shares between 0 and 1 cost; nothing in the first steps."""
    if progress < _FREE:
        return up.new_zeros(())
    done = (progress - _FREE) / (1 - _FREE)
    exponent = _EXPONENTS[0] + (_EXPONENTS[1] - _EXPONENTS[0]) * done
    return _STRENGTH * (1 - (2 * up - 1).abs().pow(exponent)).mean()
