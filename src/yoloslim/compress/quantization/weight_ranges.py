"""Ranges of weights: their extremes, or narrower ones that cost less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from yoloslim.compress.quantization.codes import Grid, from_codes, grid_of, to_codes
from yoloslim.compress.quantization.spec import QuantSpec

NARROWINGS: Sequence[float] = tuple(np.linspace(1.0, 0.2, 41))
"""Shares of a range that are tried."""

_WIDER = 1.42  # reaches the next power of two


def extremes(weight: Tensor, spec: QuantSpec) -> tuple[Tensor, Tensor]:
    """Gives the smallest and the largest weight, of each output channel, shape (O,), or of all, shape (1,)."""
    rows = _rows(weight, spec)
    return rows.amin(1), rows.amax(1)


def weight_range(weight: Tensor, spec: QuantSpec, shares: Sequence[float] = NARROWINGS) -> tuple[Tensor, Tensor]:
    """Gives the ends, shape (O,) or (1,), at which weights have the least squared error; both are narrowed alike.

    Args:
        shares: of the whole range, those that are tried.
    """
    rows = _rows(weight, spec)
    low, high = extremes(weight, spec)
    tried = torch.tensor([*shares, _WIDER], dtype=torch.float32, device=weight.device)
    errors = torch.stack([_row_errors(rows, grid_of(low * share, high * share, spec), spec) for share in tried])
    best = tried[errors.argmin(0)]  # (O,)
    return low * best, high * best


def _rows(weight: Tensor, spec: QuantSpec) -> Tensor:
    return weight.float().flatten(1) if spec.axis is not None else weight.float().view(1, -1)


def _row_errors(rows: Tensor, grid: Grid, spec: QuantSpec) -> Tensor:
    by_row = replace(spec, axis=0)
    return (from_codes(to_codes(rows, grid, by_row), grid, by_row) - rows).square().sum(1)
