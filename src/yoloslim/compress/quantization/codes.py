"""Numbers to codes and back, as pure functions, with ONNX's arithmetic.

A code is ``clamp(round(x / scale) + zero_point)``: a division, as QuantizeLinear has it. Multiplying by the reciprocal,
as torch's own fake-quantize does, gives other codes at ties.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from yoloslim.compress.quantization.spec import QuantSpec, Rounding

SMALLEST_SCALE = 2.0**-40
"""Of a tensor that is 0 everywhere: small beside every real one, and its products are still normal float32."""


class Grid(NamedTuple):
    """What codes stand for.

    Attributes:
        scale: of one code, float32; shape (), or (C,) for a spec with an axis.
        zero_point: the code of 0, a whole number in float32; the same shape.
    """

    scale: Tensor
    zero_point: Tensor


class Codes(NamedTuple):
    """A tensor as whole numbers: its values are ``grid.scale * (integers - grid.zero_point)``.

    Attributes:
        integers: int32, in the shape of the tensor.
    """

    integers: Tensor
    grid: Grid


def grid_of(low: Tensor, high: Tensor, spec: QuantSpec) -> Grid:
    """Gives the grid whose codes cover a range, which is widened to hold 0 (Jacob et al., 2018).

    A power of two is the nearest one, on the scale of logarithms, to what would just cover it.

    Args:
        low: smallest value, shape () or (C,).
        high: largest value, the same shape.
    """
    low, high = low.float().clamp(max=0), high.float().clamp(min=0)
    if spec.symmetric:
        scale = torch.maximum(high, -low if spec.signed else high) / spec.high
    else:
        scale = (high - low) / (spec.high - spec.low)
    scale = scale.clamp(min=SMALLEST_SCALE)
    if spec.scale == "power_of_two":
        scale = torch.exp2(torch.round(torch.log2(scale)))
    if spec.symmetric:
        return Grid(scale, torch.zeros_like(scale))
    return Grid(scale, (spec.low - torch.round(low / scale)).clamp(spec.low, spec.high))


def to_codes(x: Tensor, grid: Grid, spec: QuantSpec) -> Tensor:
    """Gives the codes of a tensor, whole numbers in its own type."""
    scale, zero_point = along_axis(grid, x, spec)
    return (rounded(x / scale, spec.rounding) + zero_point).clamp_(spec.low, spec.high)


def from_codes(codes: Tensor, grid: Grid, spec: QuantSpec) -> Tensor:
    """Gives the values that codes stand for, in the type of the codes."""
    scale, zero_point = along_axis(grid, codes, spec)
    return (codes - zero_point) * scale


def span(grid: Grid, spec: QuantSpec) -> tuple[float, float]:
    """Gives the values of the lowest and of the highest code; over all slices, the outermost ones."""
    low, high = ((code - grid.zero_point) * grid.scale for code in (spec.low, spec.high))
    return float(low.min()), float(high.max())


def rounded(x: Tensor, rounding: Rounding) -> Tensor:
    """Gives the nearest whole numbers."""
    if rounding == "half_even":
        return torch.round(x)
    down = torch.floor(x.abs())
    return torch.copysign(down + (x.abs() - down >= 0.5), x)  # adding a half would round once more


def along_axis(grid: Grid, x: Tensor, spec: QuantSpec) -> Grid:
    """Gives a grid in the type of ``x`` and shaped so that it meets ``x`` along the spec's axis."""
    if spec.axis is None:
        return Grid(grid.scale.to(x.dtype), grid.zero_point.to(x.dtype))
    shape = [1] * x.ndim
    shape[spec.axis] = -1
    return Grid(grid.scale.to(x.dtype).view(shape), grid.zero_point.to(x.dtype).view(shape))


def fake_quantized(x: Tensor, grid: Grid, spec: QuantSpec) -> Tensor:
    """Gives ``x`` rounded to its codes and back; gradients pass inside the range and stop outside.

    The straight-through estimator (Bengio et al., 2013); the grid takes no gradient.
    """
    result: Tensor = _StraightThrough.apply(x, grid, spec)  # type: ignore[no-untyped-call]
    return result


def learned_step(x: Tensor, grid: Grid, spec: QuantSpec, features: int) -> Tensor:
    """Gives ``x`` rounded to its codes and back; gradients pass to the scale too.

    Learned step size (Esser et al., 2020, equations 1 to 3), its clipping at the distance of the codes from the zero
    point. The gradient of the scale is multiplied by ``1 / sqrt(features * highest)``.

    Args:
        features: how many values have one scale.
    """
    result: Tensor = _LearnedStep.apply(x, grid.scale, grid.zero_point, spec, features)  # type: ignore[no-untyped-call]
    return result


class _LearnedStep(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, zero_point: Tensor, spec: QuantSpec, features: int) -> Tensor:
        met = along_axis(Grid(scale, zero_point), x, spec)
        steps = x / met.scale
        kept = (rounded(steps, spec.rounding) + met.zero_point).clamp_(spec.low, spec.high).sub_(met.zero_point)
        is_inside = (steps > spec.low - met.zero_point) & (steps < spec.high - met.zero_point)
        ctx.save_for_backward(is_inside, torch.where(is_inside, kept - steps, kept), zero_point)
        ctx.spec, ctx.features = spec, features
        return kept * met.scale

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        is_inside, slope, zero_point = ctx.saved_tensors
        axes = [axis for axis in range(gradient.ndim) if axis != ctx.spec.axis]
        total = (gradient.float() * slope.float()).sum(axes)
        highest = (ctx.spec.high - zero_point).clamp(min=1)
        return gradient * is_inside, total / torch.sqrt(ctx.features * highest), None, None, None


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, grid: Grid, spec: QuantSpec) -> Tensor:
        scale, zero_point = along_axis(grid, x, spec)
        codes = rounded(x / scale, spec.rounding).add_(zero_point)
        ctx.save_for_backward((codes >= spec.low) & (codes <= spec.high))
        return codes.clamp_(spec.low, spec.high).sub_(zero_point).mul_(scale)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, None]:
        (inside,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradient * inside, None, None
