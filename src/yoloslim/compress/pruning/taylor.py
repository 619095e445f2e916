"""How much the loss would change without a channel, estimated from gradients on pictures."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from yoloslim.compress.pruning.scores import FloatArray, writers
from yoloslim.nn.layers.conv_block import ConvBlock
from yoloslim.nn.network import Network

Loss = Callable[[Sequence[Tensor], Tensor], Tensor]
"""Gives the loss, a scalar, of head maps and targets."""


def taylor_scores(network: Network, batches: Iterable[tuple[Tensor, Tensor]], loss: Loss) -> dict[str, FloatArray]:
    """Gives the squared first-order change of the loss when a channel goes, mean over batches (Molchanov et al., 2019).

    A channel is a gate: behind batch-norm its gradient is ``gamma * dL/dgamma + beta * dL/dbeta``, without one the same
    sum over its weights and bias.

    Args:
        batches: pictures, shape (B, C, H, W), RGB in 0..1, and their targets, as ``loss`` wants them; at least one.

    Raises:
        ValueError: there is no batch.
    """
    measured = copy.deepcopy(network).eval()
    blocks = {name: measured.get_submodule(name) for name in writers(network.graph)}
    totals = {name: torch.zeros(1, dtype=torch.float64) for name in blocks}
    count = 0
    for images, targets in batches:
        count += 1
        measured.zero_grad(set_to_none=True)
        with torch.enable_grad():
            loss(measured(images), targets).backward()  # type: ignore[no-untyped-call]
        totals = {name: total + _gate_gradient(blocks[name]) ** 2 for name, total in totals.items()}
    if not count:
        raise ValueError("taylor_scores needs at least one batch of pictures with targets")
    return {name: (total / count).numpy() for name, total in totals.items()}


def _gate_gradient(block: torch.nn.Module) -> Tensor:
    """Gradient of the loss by a factor on each of a layer's channels, float64, shape (C,), on the CPU."""
    assert isinstance(block, ConvBlock)
    owner = block.conv if block.norm is None else block.norm
    parameters = [owner.weight] if owner.bias is None else [owner.weight, owner.bias]
    moved = [(p.detach() * p.grad).double().view(len(p), -1).sum(1) for p in parameters if p.grad is not None]
    return torch.stack(moved).sum(0).cpu()
