"""Batch-norm statistics measured anew."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from yoloslim.nn.network import Network


def recalibrate(network: Network, batches: Iterable[Tensor]) -> Network:
    """Gives a copy whose batch-norm means and variances are those of ``batches``; no weight changes.

    Every batch counts the same (a cumulative average), and each layer sees inputs normalised by the batch itself, as in
    training. A pruned network's old statistics describe channels that are gone (Li et al., EagleEye, 2020).

    Args:
        batches: shape (B, C, H, W), RGB in 0..1, several pictures each; at least one batch.

    Raises:
        ValueError: there is no batch.
    """
    fresh = copy.deepcopy(network).eval()
    norms = [module for module in fresh.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    count = 0
    for norm in norms:
        norm.train()
    with torch.no_grad():
        for count, images in enumerate(batches, start=1):
            for norm in norms:
                norm.momentum = 1 / count
            fresh(images)
    if not count:
        raise ValueError("recalibrate needs at least one batch of pictures")
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return fresh.eval()
