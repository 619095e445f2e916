"""Ranges of a quantized network, from pictures that its float network is shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import cast

import torch
from torch import Tensor

from yoloslim.compress.quantization.codes import grid_of
from yoloslim.compress.quantization.fake_quantizer import FixedQuantizer, Quantizer
from yoloslim.compress.quantization.network import QuantizedNetwork, members, quantized
from yoloslim.compress.quantization.observers import OBSERVERS, Name, Range, squared_error
from yoloslim.compress.quantization.plan import QuantPlan
from yoloslim.compress.quantization.spec import QuantSpec
from yoloslim.compress.quantization.statistics import Extremes, Histogram, Statistics
from yoloslim.compress.quantization.weight_ranges import weight_range
from yoloslim.errors import DataError
from yoloslim.graph.graph import IMAGE
from yoloslim.nn.layers.conv_block import ConvBlock
from yoloslim.nn.network import Network

_BEFORE = "/before"  # behind a node's name: its sums

Seen = Callable[[str, Tensor], None]


def calibrated(
    network: Network, plan: QuantPlan, batches: Sequence[Tensor], observer: Name = "mse"
) -> QuantizedNetwork:
    """Gives the network that rounds by a plan, its ranges set from pictures, in evaluation mode.

    Args:
        network: in float.
        batches: shape (B, C, H, W), RGB in 0..1, prepared as for evaluation.

    Raises:
        DataError: there is no picture.
    """
    made = quantized(network, plan).eval()
    seen = collected(network, plan, batches)
    for name in made.plan.scales:
        _calibrate(made.scale(name), seen[name], observer)
    for name, conv in made.folded_convs().items():
        if conv.rounded_sum is not None:
            _calibrate(conv.rounded_sum, seen[name + _BEFORE], observer)
        weight, _ = conv.folded()
        conv.set_weight_range(*weight_range(weight.detach(), conv.rounded_weight.spec))
    return made


def collected(network: Network, plan: QuantPlan, batches: Sequence[Tensor]) -> dict[str, Statistics]:
    """Gives what the float network computes at every scale of a plan, over all pictures.

    Raises:
        DataError: there is no picture.
    """
    if not batches:
        raise DataError("calibration needs pictures, found none: give a data file whose training split has some")
    names = [*plan.scales, *(name + _BEFORE for name in plan.before)]
    extremes = {name: Extremes() for name in names}
    _watch(network, plan, batches, lambda name, x: extremes[name].add(x))
    histograms = {name: Histogram(extremes[name]) for name in names}
    _watch(network, plan, batches, lambda name, x: histograms[name].add(x))
    activations = {name + _BEFORE: _activation(network, name) for name in plan.before}
    return {name: histogram.statistics(activations.get(name, "linear")) for name, histogram in histograms.items()}


def _watch(network: Network, plan: QuantPlan, batches: Sequence[Tensor], see: Seen) -> None:
    """Shows ``see`` every tensor that a plan rounds, by the name of its scale."""
    scale_of = {node: scale for scale, nodes in members(network.graph, plan).items() for node in nodes}

    def tap(name: str, x: Tensor) -> Tensor:
        if name in scale_of:
            see(scale_of[name], x)
        return x

    with torch.no_grad(), watched_sums(network, plan.before, lambda name, x: see(name + _BEFORE, x)):
        for batch in batches:
            tap(IMAGE, batch)
            network(batch, tap)


@contextmanager
def watched_sums(network: Network, names: Iterable[str], see: Seen) -> Iterator[None]:
    """Shows ``see`` the sums of convolutions before their activation, shape (B, C, H, W), by name."""
    blocks = {name: cast(ConvBlock, network.get_submodule(name)) for name in names}
    handles = [
        block.activation.register_forward_pre_hook(lambda module, inputs, name=name: see(name, inputs[0]))
        for name, block in blocks.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _activation(network: Network, name: str) -> str:
    return cast(ConvBlock, network.get_submodule(name)).activation.name


def _calibrate(quantizer: Quantizer, seen: Statistics, observer: Name) -> None:
    spec = quantizer.spec
    if isinstance(quantizer, FixedQuantizer):
        return
    ends = OBSERVERS[observer](seen, spec)
    if spec.scale == "power_of_two":
        ends = min(_powers(ends, spec), key=partial(squared_error, seen, spec))
    quantizer.set_range(*ends)


def _powers(ends: Range, spec: QuantSpec) -> list[Range]:
    """The ranges that the powers of two below and above a scale cover."""
    exact = grid_of(torch.tensor(ends.low), torch.tensor(ends.high), replace(spec, scale="float"))
    below = math.floor(math.log2(exact.scale))
    zero_points = [0 if spec.symmetric else spec.low - round(ends.low / 2.0**k) for k in (below, below + 1)]
    offsets = [min(max(zero_point, spec.low), spec.high) for zero_point in zero_points]
    return [
        Range((spec.low - offset) * 2.0**k, (spec.high - offset) * 2.0**k)
        for k, offset in zip((below, below + 1), offsets, strict=True)
    ]
