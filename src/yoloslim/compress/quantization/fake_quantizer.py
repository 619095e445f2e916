"""Modules that round a tensor to its codes and back.

What quantizers of all schemes have in common: ``forward(x)`` gives rounded values, ``codes(x)`` gives the whole numbers
behind them, and both agree bit for bit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from yoloslim.compress.quantization.codes import Codes, Grid, fake_quantized, grid_of, to_codes
from yoloslim.compress.quantization.spec import MAX_BITS, QuantSpec
from yoloslim.compress.quantization.weight_ranges import extremes, weight_range

RANGE_MOMENTUM = 0.01
"""Share of each batch in the moving average of an activation's range (Jacob et al., 2018)."""

_SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)  # few, for they are tried at every step


class Rounding(nn.Module, ABC):
    """Rounds tensors to what codes stand for.

    Attributes:
        is_frozen: whether what follows values stays in training too.
    """

    def __init__(self, spec: QuantSpec) -> None:
        super().__init__()
        self.spec = spec
        self.is_frozen = False

    @property
    @abstractmethod
    def is_calibrated(self) -> bool:
        """Whether it can round."""

    @abstractmethod
    def codes(self, x: Tensor) -> Codes:
        """Gives the whole numbers that ``forward`` rounds to."""

    def extra_repr(self) -> str:
        """Gives the bits for printing."""
        return f"{self.spec.bits} bits"


class Quantizer(Rounding):
    """Rounds by a grid that it knows before it sees the values."""

    @abstractmethod
    def grid(self) -> Grid:
        """Gives what its codes stand for."""

    @abstractmethod
    def set_range(self, low: Tensor | float, high: Tensor | float) -> None:
        """Sets the grid, in place, to that of a range."""

    def forward(self, x: Tensor, member: int = 0) -> Tensor:
        """Gives the rounded tensor; ``member`` says which of the tensors with this scale it is."""
        return fake_quantized(x, self.grid(), self.spec)

    def codes(self, x: Tensor) -> Codes:
        """Gives the whole numbers that ``forward`` rounds to."""
        grid = Grid(*(tensor.detach() for tensor in self.grid()))
        return Codes(to_codes(x.detach(), grid, self.spec).to(torch.int32), grid)


class RangeQuantizer(Quantizer):
    """Rounds to codes that cover a range; in training it follows what it sees, until its range is frozen.

    Args:
        ranges: how many ranges it keeps: one for each tensor that shares the scale, or for each slice along the axis.

    Attributes:
        low: smallest values, shape (ranges,); nan before calibration.
        high: largest values, the same shape.
    """

    low: Tensor
    high: Tensor

    def __init__(self, spec: QuantSpec, ranges: int = 1) -> None:
        super().__init__(spec)
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
        return super().forward(x)

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


class FixedQuantizer(RangeQuantizer):
    """Rounds to codes for a range that is known before any value is seen, and stays.

    Args:
        low: smallest value.
        high: largest value.
    """

    def __init__(self, spec: QuantSpec, low: float, high: float) -> None:
        super().__init__(spec)
        super().set_range(low, high)

    def set_range(self, low: Tensor | float, high: Tensor | float) -> None:
        """Changes nothing."""

    def _follow(self, x: Tensor, member: int) -> None:
        """Changes nothing."""


class WeightQuantizer(RangeQuantizer):
    """Rounds weights, shape (O, I, k, k), by one scale or one an output channel; in training it follows them.

    8 bits cover all of them; fewer have the range with the least squared error.
    """

    def folded(self, weight: Tensor, factor: Tensor) -> tuple[Tensor, Grid]:
        """Gives weights that do a batch-norm's work too, and what their codes stand for.

        Args:
            weight: of the convolution.
            factor: that batch-norm multiplies by, shape (O, 1, 1, 1).
        """
        weight = weight * factor
        if self.training and not self.is_frozen:
            self._follow(weight.detach(), 0)
        return weight, self.grid()

    def set_folded_range(self, low: Tensor, high: Tensor, factor: Tensor) -> None:
        """Sets the ranges of folded weights, in place."""
        self.set_range(low, high)

    def rounded(self, weight: Tensor, grid: Grid) -> Tensor:
        """Gives folded weights on a grid, which is that of ``folded`` or a coarser one."""
        return fake_quantized(weight, grid, self.spec)

    @torch.no_grad()
    def _follow(self, x: Tensor, member: int) -> None:
        has_enough = self.spec.bits >= MAX_BITS
        self.set_range(*(extremes(x, self.spec) if has_enough else weight_range(x, self.spec, _SHARES)))
