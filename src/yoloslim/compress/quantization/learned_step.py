"""Quantizers whose scale is learned with the weights (Esser et al., 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from yoloslim.compress.quantization.codes import SMALLEST_SCALE, Grid, grid_of, learned_step
from yoloslim.compress.quantization.fake_quantizer import Quantizer
from yoloslim.compress.quantization.spec import QuantSpec

MOST_CHANGE = 0.02
"""Share of itself that a learned step moves by at most, each time that the optimiser moves."""


class StepQuantizer(Quantizer):
    """Rounds by a scale that is a parameter; its zero point is that of the first range.

    Args:
        steps: how many scales: 1, or one for each slice along the axis.

    Attributes:
        step: the scales, shape (steps,); nan before calibration. Powers of two are the nearest to them.
        zero_point: the codes of 0, the same shape.
    """

    zero_point: Tensor

    def __init__(self, spec: QuantSpec, steps: int = 1) -> None:
        super().__init__(spec)
        self.step = nn.Parameter(torch.full((steps,), float("nan")))
        self.register_buffer("zero_point", torch.zeros(steps))

    def grid(self) -> Grid:
        """Gives what its codes stand for; gradients pass to the step."""
        return self._grid_of(self.step.abs())

    def _grid_of(self, scale: Tensor) -> Grid:
        scale = scale.clamp(min=SMALLEST_SCALE)
        if self.spec.scale == "power_of_two":
            nearest = torch.exp2(torch.round(torch.log2(scale.detach())))
            scale = scale + (nearest - scale).detach()  # exact: they are less than a factor of two apart
        shape = () if self.spec.axis is None else (-1,)
        return Grid(scale.view(shape), self.zero_point.view(shape))

    def forward(self, x: Tensor, member: int = 0) -> Tensor:
        """Gives the rounded tensor, shape (B, ...); one picture has so many features that learn its scale."""
        return learned_step(x, self.grid(), self.spec, x[0].numel())

    @torch.no_grad()
    def set_range(self, low: Tensor | float, high: Tensor | float) -> None:
        """Sets the steps and zero points, in place, to those that cover a range."""
        scale, zero_point = grid_of(torch.as_tensor(low), torch.as_tensor(high), self.spec)
        self.step.copy_(scale)
        self.zero_point.copy_(zero_point)

    @property
    def is_calibrated(self) -> bool:
        """Whether all its steps are known."""
        return bool(torch.isfinite(self.step).all())


class SteadySteps:
    """Keeps learned steps from jumping: at rates that suit weights, those of 8 bits and of layers near a head would.

    Args:
        network: whose steps it watches.
    """

    def __init__(self, network: nn.Module) -> None:
        self._steps = [module.step for module in network.modules() if isinstance(module, StepQuantizer)]
        self._last: list[Tensor] = []

    def remember(self) -> None:
        """Takes the steps as they are."""
        self._last = [step.detach().clone() for step in self._steps]

    @torch.no_grad()
    def limit(self) -> None:
        """Takes back, in place, what they moved by more than ``MOST_CHANGE`` of themselves since it was called last."""
        for step, last in zip(self._steps, self._last, strict=True):
            step.copy_(step.clamp(last * (1 - MOST_CHANGE), last * (1 + MOST_CHANGE)))
        self.remember()


class WeightStepQuantizer(StepQuantizer):
    """Rounds weights, shape (O, I, k, k), by one learned scale or one an output channel.

    Steps are those of the weights themselves, and batch-norm scales them with the weights: learned on folded weights,
    whose size is batch-norm's, they would jump where it is small.
    """

    def forward(self, x: Tensor, member: int = 0) -> Tensor:
        """Gives the rounded weights, no batch-norm folded."""
        return self.rounded(x, self.grid())

    def folded(self, weight: Tensor, factor: Tensor) -> tuple[Tensor, Grid]:
        """Gives weights that do a batch-norm's work too, and what their codes stand for."""
        return weight * factor, self._grid_of(self.step.abs() * self._unit(factor))

    def set_folded_range(self, low: Tensor, high: Tensor, factor: Tensor) -> None:
        """Sets the steps, in place, to those at which folded weights cover a range."""
        self.set_range(low, high)
        with torch.no_grad():
            self.step.div_(self._unit(factor).clamp(min=SMALLEST_SCALE))

    def rounded(self, weight: Tensor, grid: Grid) -> Tensor:
        """Gives folded weights on a grid, which is that of ``folded`` or a coarser one."""
        return learned_step(weight, grid, self.spec, weight.numel() // self.step.numel())

    def _unit(self, factor: Tensor) -> Tensor:
        """What batch-norm makes of each step, of the largest where there is one alone."""
        sizes = factor.detach().abs().flatten()
        return sizes.amax().view(1) if self.spec.axis is None else sizes
