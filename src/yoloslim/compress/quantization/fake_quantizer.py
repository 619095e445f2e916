"""Modules that round a tensor to its codes and back.

What a quantizer has in common with those of other schemes: ``forward(x)`` gives rounded values, ``codes(x)`` gives the
whole numbers behind them, and both agree bit for bit.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from yoloslim.compress.quantization.codes import Codes, Grid, fake_quantized, grid_of, to_codes
from yoloslim.compress.quantization.spec import QuantSpec

RANGE_MOMENTUM = 0.01
"""Share of each batch in the moving average of an activation's range (Jacob et al., 2018)."""


class RangeQuantizer(nn.Module):
    """Rounds to codes that cover a range; in training it follows what it sees, until its range is frozen.

    Args:
        ranges: how many ranges it keeps: one for each tensor that shares the scale, or for each slice along the axis.

    Attributes:
        low: smallest values, shape (ranges,); nan before calibration.
        high: largest values, the same shape.
        is_frozen: whether the ranges stay in training too.
    """

    low: Tensor
    high: Tensor

    def __init__(self, spec: QuantSpec, ranges: int = 1) -> None:
        super().__init__()
        self.spec = spec
        self.is_frozen = False
        self.register_buffer("low", torch.full((ranges,), float("nan")))
        self.register_buffer("high", torch.full((ranges,), float("nan")))

    def grid(self) -> Grid:
        """Gives what its codes stand for."""
        if self.spec.axis is not None:
            return grid_of(self.low, self.high, self.spec)
        return grid_of(self.low.min(), self.high.max(), self.spec)

    def forward(self, x: Tensor, member: int = 0) -> Tensor:
        """Gives the rounded tensor; ``member`` says which of the tensors with this scale it is."""
        if self.training and not self.is_frozen:
            self._follow(x.detach(), member)
        return fake_quantized(x, self.grid(), self.spec)

    def codes(self, x: Tensor) -> Codes:
        """Gives the whole numbers that ``forward`` rounds to."""
        grid = self.grid()
        return Codes(to_codes(x.detach(), grid, self.spec).to(torch.int32), grid)

    @torch.no_grad()
    def set_range(self, low: Tensor | float, high: Tensor | float) -> None:
        """Sets every range, in place."""
        self.low.copy_(torch.as_tensor(low))
        self.high.copy_(torch.as_tensor(high))

    @property
    def is_calibrated(self) -> bool:
        """Whether all its ranges are known."""
        return bool((self.low <= self.high).all())

    @torch.no_grad()
    def _follow(self, x: Tensor, member: int) -> None:
        low, high = x.float().amin(), x.float().amax()
        self.low[member].lerp_(low, RANGE_MOMENTUM)
        self.high[member].lerp_(high, RANGE_MOMENTUM)

    def extra_repr(self) -> str:
        """Gives the bits for printing."""
        return f"{self.spec.bits} bits"


class WeightQuantizer(RangeQuantizer):
    """Rounds weights, shape (O, I, k, k), by one scale or one an output channel; in training by their extremes."""

    @torch.no_grad()
    def learn(self, weight: Tensor) -> None:
        """Takes the extremes of the weights as its range, in training alone."""
        if self.training and not self.is_frozen:
            self.set_range(*extremes(weight, self.spec))

    @torch.no_grad()
    def _follow(self, x: Tensor, member: int) -> None:
        self.learn(x)


def extremes(weight: Tensor, spec: QuantSpec) -> tuple[Tensor, Tensor]:
    """Gives the smallest and the largest weight, of each output channel, shape (O,), or of all, shape (1,)."""
    rows = weight.float().flatten(1) if spec.axis is not None else weight.float().view(1, -1)
    return rows.amin(1), rows.amax(1)
