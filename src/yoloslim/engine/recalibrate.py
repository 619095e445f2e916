"""Batch-norm statistics measured anew."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from yoloslim.nn.network import Network


def recalibrate(network: Network, batches: Iterable[Tensor]) -> Network:
    """Gives a copy whose batch-norm means and variances are those of ``batches``; no weight changes.

    Every batch counts the same (a cumulative average; every use, of a batch-norm that layers share), and each layer
    sees inputs normalised by the batch itself, as in training. A pruned network's old statistics describe channels that
    are gone (Li et al., EagleEye, 2020).

    Args:
        batches: shape (B, C, H, W), RGB in 0..1, several pictures each; at least one batch.

    Raises:
        ValueError: there is no batch.
    """
    fresh = copy.deepcopy(network).eval()
    norms = [module for module in fresh.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    handles = [norm.train().register_forward_pre_hook(_Uses()) for norm in norms]
    measured = False
    with torch.no_grad():
        for images in batches:
            fresh(images)
            measured = True
    if not measured:
        raise ValueError("recalibrate needs at least one batch of pictures")
    for norm, momentum, handle in zip(norms, momenta, handles, strict=True):
        handle.remove()
        norm.momentum = momentum
    return fresh.eval()


class _Uses:
    """Counts the uses of a batch-norm, so that its average gives each the same share."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.count += 1
        norm.momentum = 1 / self.count  # type: ignore[assignment]
