"""A convolution on integers, with its batch-norm folded into the weights that are rounded."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yoloslim.compress.quantization.codes import Codes, Grid, fake_quantized, to_codes
from yoloslim.compress.quantization.fake_quantizer import Quantizer
from yoloslim.compress.quantization.schemes import map_quantizer, weight_quantizer
from yoloslim.compress.quantization.spec import BIAS_BITS, QuantSpec
from yoloslim.nn.layers.conv_block import BatchNorm, ConvBlock

_BIAS = QuantSpec(BIAS_BITS, symmetric=True, axis=0)

_BIAS_CODES = 2.0**30
"""Largest code of a bias: half of what 32 bits hold, the other half is for the sum of the products."""


class Kernel(NamedTuple):
    """A convolution as whole numbers.

    Attributes:
        weight: (O, I, k, k), with one scale or one an output channel.
        bias: int64 within 32 bits, shape (O,), at the scale of the weight times that of the input; zero points 0.
    """

    weight: Codes
    bias: Codes


class _Fold(NamedTuple):
    """What batch-norm does, as a factor of the weights, shape (O, 1, 1, 1), and a bias, shape (O,)."""

    factor: Tensor
    bias: Tensor


class FoldedConv(ConvBlock):
    """What a ``ConvBlock`` computes, its weights, biases and sums rounded (Jacob et al., 2018, section 3).

    Its tensors are those of the block, so that it is trained and saved as one. In training the batch-norm that is
    folded has the statistics of the batch, until they are frozen.

    Args:
        block: the block, whose modules it takes.
        scheme: how weights and sums are rounded.
        weights: codes of the weights.
        before: codes of the sums, where they are rounded before the activation.
        source: the quantizer of what it reads.

    Attributes:
        sums: passes the sums on, before they are rounded: a place for hooks.
        has_frozen_statistics: whether training folds the running statistics and leaves them alone.
    """

    def __init__(
        self, block: ConvBlock, scheme: str, weights: QuantSpec, before: QuantSpec | None, source: Quantizer
    ) -> None:
        nn.Module.__init__(self)
        self.conv, self.norm = block.conv, block.norm
        self.activation, self.blur = block.activation, block.blur
        self.rounded_weight = weight_quantizer(scheme, weights, self.conv.out_channels)
        self.rounded_sum = map_quantizer(scheme, before) if before is not None else None
        self.sums = nn.Identity()
        self.has_frozen_statistics = False
        self._source = (source,)  # in a tuple, so that torch does not count its tensors twice

    @property
    def source(self) -> Quantizer:
        """The quantizer of what it reads."""
        return self._source[0]

    @property
    def bytes(self) -> int:
        """Of its weights, by the width of their codes, and biases."""
        return -(-self.conv.weight.numel() * self.rounded_weight.spec.width // 8) + 4 * self.conv.out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Gives the activated map, ``(B, C, H, W) -> (B, filters, H', W')``."""
        y = self.sums(self._convolved_on_codes(x))
        if self.rounded_sum is not None:
            y = self.rounded_sum(y)
        return self.blur(self.activation(y))  # type: ignore[no-any-return]

    def _convolved_on_codes(self, x: Tensor) -> Tensor:
        fold = self._batch_fold(x) if self._learns_statistics else self._fold()
        weight, grid = self._weight(fold)
        bias = fake_quantized(fold.bias, self._bias_grid(grid), _BIAS)
        return self.convolved(x, self.rounded_weight.rounded(weight, grid), bias)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Gives weight and bias that do the batch-norm's work too, by its running statistics."""
        fold = self._fold()
        return self.conv.weight * fold.factor, fold.bias

    def set_weight_range(self, low: Tensor, high: Tensor) -> None:
        """Sets the grid of the weights, in place, to that of a range of the folded ones; shape (O,) or (1,)."""
        self.rounded_weight.set_folded_range(low, high, self._fold().factor)

    def _fold(self) -> _Fold:
        if self.norm is None:
            return _Fold(self.conv.weight.new_ones(self.conv.out_channels, 1, 1, 1), cast(Tensor, self.conv.bias))
        assert self.norm.running_mean is not None
        assert self.norm.running_var is not None
        return _fold_of(self.norm, self.norm.running_mean, self.norm.running_var)

    @torch.no_grad()
    def kernel(self) -> Kernel:
        """Gives the whole numbers that it computes with."""
        fold = self._fold()
        weight, grid = self._weight(fold)
        bias_grid = self._bias_grid(grid)
        codes = to_codes(weight, grid, self.rounded_weight.spec).to(torch.int32)
        return Kernel(Codes(codes, grid), Codes(to_codes(fold.bias, bias_grid, _BIAS).to(torch.int64), bias_grid))

    @property
    def _learns_statistics(self) -> bool:
        return self.norm is not None and self.norm.training and not self.has_frozen_statistics

    def _batch_fold(self, x: Tensor) -> _Fold:
        """Folds the statistics that the batch gives, and moves the running ones towards them."""
        assert self.norm is not None
        maps = self.convolved(x, self.conv.weight, None).float()
        mean, var = maps.mean((0, 2, 3)), maps.var((0, 2, 3), unbiased=False)
        count = maps.numel() // maps.shape[1]
        with torch.no_grad():
            momentum = cast(float, self.norm.momentum)
            cast(Tensor, self.norm.running_mean).lerp_(mean, momentum)
            cast(Tensor, self.norm.running_var).lerp_(var * (count / max(1, count - 1)), momentum)
        return _fold_of(self.norm, mean, var)

    def convolved(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Gives the convolution of the input with other weights, nothing rounded."""
        conv = self.conv
        return F.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups)

    def _weight(self, fold: _Fold) -> tuple[Tensor, Grid]:
        """The weights, and their grid, so coarse that biases have codes of 32 bits: dead channels have tiny weights."""
        spec = self.rounded_weight.spec
        weight, grid = self.rounded_weight.folded(self.conv.weight, fold.factor)
        least = fold.bias.detach().float().abs() / (self.source.grid().scale.detach() * _BIAS_CODES)
        if spec.axis is None:
            least = least.amax()
        if spec.scale == "power_of_two":
            least = torch.where(least > 0, torch.exp2(torch.ceil(torch.log2(least))), least)
        return weight, Grid(torch.maximum(grid.scale, least), grid.zero_point)

    def _bias_grid(self, weight: Grid) -> Grid:
        scale = (self.source.grid().scale * weight.scale).expand(self.conv.out_channels)
        return Grid(scale, torch.zeros_like(scale))


def _fold_of(norm: BatchNorm, mean: Tensor, var: Tensor) -> _Fold:
    scale = norm.weight / torch.sqrt(var + norm.eps)
    return _Fold(scale.view(-1, 1, 1, 1), norm.bias - mean * scale)
