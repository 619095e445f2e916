"""MobileNetV3 (Howard et al., 2019) as a backbone, in the originals' ``[depthwise]`` and ``[se]``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from yoloslim.zoo.builder import NetworkBuilder, Stages


class _Block(NamedTuple):
    """An inverted residual block.

    Attributes:
        size: of the depthwise convolution.
        expansion: channels inside.
        filters: channels it gives.
        squeeze: whether it has squeeze-and-excitation.
    """

    size: int
    expansion: int
    filters: int
    squeeze: bool
    activation: str
    stride: int


_LARGE = (
    _Block(3, 16, 16, False, "relu", 1),
    _Block(3, 64, 24, False, "relu", 2),
    _Block(3, 72, 24, False, "relu", 1),
    _Block(5, 72, 40, True, "relu", 2),
    _Block(5, 120, 40, True, "relu", 1),
    _Block(5, 120, 40, True, "relu", 1),
    _Block(3, 240, 80, False, "h_swish", 2),
    _Block(3, 200, 80, False, "h_swish", 1),
    _Block(3, 184, 80, False, "h_swish", 1),
    _Block(3, 184, 80, False, "h_swish", 1),
    _Block(3, 480, 112, True, "h_swish", 1),
    _Block(3, 672, 112, True, "h_swish", 1),
    _Block(5, 672, 160, True, "h_swish", 2),
    _Block(5, 960, 160, True, "h_swish", 1),
    _Block(5, 960, 160, True, "h_swish", 1),
)
_SMALL = (
    _Block(3, 16, 16, True, "relu", 2),
    _Block(3, 72, 24, False, "relu", 2),
    _Block(3, 88, 24, False, "relu", 1),
    _Block(5, 96, 40, True, "h_swish", 2),
    _Block(5, 240, 40, True, "h_swish", 1),
    _Block(5, 240, 40, True, "h_swish", 1),
    _Block(5, 120, 48, True, "h_swish", 1),
    _Block(5, 144, 48, True, "h_swish", 1),
    _Block(5, 288, 96, True, "h_swish", 2),
    _Block(5, 576, 96, True, "h_swish", 1),
    _Block(5, 576, 96, True, "h_swish", 1),
)
_LAST = 1024
"""Channels of the last convolution, as the detectors of the originals have it; the paper's is 960 and 576."""


def mobilenetv3_large(net: NetworkBuilder) -> Stages:
    """Adds MobileNetV3-Large up to its last convolution."""
    return _mobilenetv3(net, _LARGE)


def mobilenetv3_small(net: NetworkBuilder) -> Stages:
    """Adds MobileNetV3-Small up to its last convolution."""
    return _mobilenetv3(net, _SMALL)


def _mobilenetv3(net: NetworkBuilder, blocks: Sequence[_Block]) -> Stages:
    net.convolution(16, 3, stride=2, activation="h_swish")
    stages, stride = {}, 2
    for block in blocks:
        stride *= block.stride
        stages[stride] = _add_block(net, block)
    stages[stride] = net.convolution(_LAST, 1, activation="h_swish")
    return stages


def _add_block(net: NetworkBuilder, block: _Block) -> str:
    block_input, channels = net.last, net.channels
    net.convolution(block.expansion, 1, activation=block.activation)
    net.depthwise(block.size, block.stride, activation=block.activation)
    if block.squeeze:
        net.squeeze_excite()
    net.convolution(block.filters, 1, activation="linear")
    if block.stride == 1 and net.channels == channels:
        net.shortcut(block_input)
    return net.last
