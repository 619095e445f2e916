"""Fewer bits for the weights of some layers, so that a network fits a size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from yoloslim.compress.quantization.codes import from_codes, grid_of, to_codes
from yoloslim.compress.quantization.spec import QuantSpec
from yoloslim.compress.quantization.weight_ranges import weight_range
from yoloslim.errors import RecipeError

FEW_BITS = 4
"""Two of them are a byte."""

_FLOAT_BITS = 32


def bits_within(weights: Mapping[str, Tensor], spec: QuantSpec, share: float) -> dict[str, int]:
    """Gives the convolutions whose weights get ``FEW_BITS``, so that all weights take a share of their bytes in float.

    Those go first that lose least for a byte that is saved: relative squared error of their weights.

    Args:
        weights: of every convolution on integers, shape (O, I, k, k), by node.
        spec: their codes otherwise.

    Raises:
        RecipeError: the share cannot be reached.
    """
    total = sum(weight.numel() for weight in weights.values())
    excess = total * (spec.bits - share * _FLOAT_BITS)
    most = total * (spec.bits - FEW_BITS)
    if excess > most:
        least = FEW_BITS / _FLOAT_BITS
        raise RecipeError(
            f"size_share: {FEW_BITS} bits everywhere take {least:g} of the float weights, asked for {share:g}"
        )
    few = replace(spec, bits=FEW_BITS)
    costs = {name: _relative_error(weight, few) / weight.numel() for name, weight in weights.items()}
    chosen: dict[str, int] = {}
    for name in sorted(costs, key=costs.__getitem__):
        if excess <= 0:
            break
        chosen[name] = FEW_BITS
        excess -= weights[name].numel() * (spec.bits - FEW_BITS)
    return chosen


def _relative_error(weight: Tensor, spec: QuantSpec) -> float:
    grid = grid_of(*weight_range(weight, spec), spec)
    error = (from_codes(to_codes(weight, grid, spec), grid, spec) - weight).square().sum()
    return float(error / weight.square().sum().clamp(min=1e-30))
