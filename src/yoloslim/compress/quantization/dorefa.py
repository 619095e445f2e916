"""DoReFa: weights squeezed by a hyperbolic tangent, maps from 0 to a fixed end (Zhou et al., 2016).

Both are multiplied by what the paper divides them by, so that a trained network stays what it is: batch-norm takes
such a factor away, layers without it do not.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from yoloslim.compress.quantization.codes import SMALLEST_SCALE, Codes, Grid, fake_quantized, rounded, to_codes
from yoloslim.compress.quantization.fake_quantizer import Rounding
from yoloslim.compress.quantization.spec import QuantSpec

MAP_END = 10.0
"""Largest value of a map: ``clamp(0.1 x, 0, 1)`` tenfold."""


def dorefa_weights(spec: QuantSpec, most: int) -> QuantSpec:
    """Gives the codes of weights.

    ``2^bits`` levels without one at 0 are the odd codes, which take a bit more. Where the target has not that bit, the
    levels are ``2^bits - 1``, with one at 0, and the codes all.

    Args:
        spec: with the bits of the levels.
        most: bits of the target's weights.
    """
    return replace(spec, symmetric=True, axis=0, levels="odd" if spec.bits < most else "all")


def dorefa_maps(spec: QuantSpec) -> QuantSpec:
    """Gives the codes of feature maps, from 0 to ``MAP_END``."""
    return replace(spec, signed=False, symmetric=True)


class DorefaWeights(Rounding):
    """Rounds weights, shape (O, I, k, k), before batch-norm scales their codes: its grid follows from the weights."""

    @property
    def is_calibrated(self) -> bool:
        """Whether its grid is known: always."""
        return True

    def set_folded_range(self, low: Tensor, high: Tensor, factor: Tensor) -> None:
        """Changes nothing."""

    def folded(self, weight: Tensor, factor: Tensor) -> tuple[Tensor, Grid]:
        """Gives weights on their levels that do a batch-norm's work too, and what their codes stand for.

        Gradients pass the rounding as they are, and the tangent by its slope; the largest weight takes none.
        """
        squeezed = torch.tanh(weight)
        share = squeezed / squeezed.detach().abs().amax().clamp(min=SMALLEST_SCALE)  # -1..1
        step = weight.detach().abs().amax().clamp(min=SMALLEST_SCALE) / self.spec.high
        exact = share * self.spec.high
        level = exact + (self._level(share) - exact).detach()
        scale = (step * factor.detach().abs()).flatten().clamp(min=SMALLEST_SCALE)
        return level * step * factor, Grid(scale, torch.zeros_like(scale))

    def rounded(self, weight: Tensor, grid: Grid) -> Tensor:
        """Gives folded weights on a grid, which is that of ``folded`` or a coarser one."""
        return fake_quantized(weight, grid, self.spec)

    def forward(self, x: Tensor, member: int = 0) -> Tensor:
        """Gives weights on their levels, no batch-norm folded."""
        return self.rounded(*self.folded(x, x.new_ones(len(x), 1, 1, 1)))

    def codes(self, x: Tensor) -> Codes:
        """Gives the whole numbers that ``forward`` rounds to."""
        weight, grid = self.folded(x.detach(), x.new_ones(len(x), 1, 1, 1))
        return Codes(to_codes(weight, grid, self.spec).to(torch.int32), grid)

    def _level(self, share: Tensor) -> Tensor:
        """The nearest code of a share of the largest, -1..1; in the paper levels are counted from the lowest on."""
        high = self.spec.high
        if self.spec.levels == "all":
            return rounded(share * high, self.spec.rounding)
        return 2 * rounded((share / 2 + 0.5) * high, self.spec.rounding) - high
