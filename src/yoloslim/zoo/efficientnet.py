"""EfficientNet-B0 (Tan and Le, 2019) as a backbone."""

from __future__ import annotations

from typing import NamedTuple

from yoloslim.zoo.builder import NetworkBuilder, Stages


class _Stage(NamedTuple):
    """Blocks of one kind; the first has the stride.

    Attributes:
        size: of the depthwise convolutions.
        factor: how much wider than its input a block is inside.
        filters: channels that each block gives.
    """

    size: int
    factor: int
    filters: int
    blocks: int
    stride: int


_STAGES = (
    _Stage(3, 1, 16, 1, 1),
    _Stage(3, 6, 24, 2, 2),
    _Stage(5, 6, 40, 2, 2),
    _Stage(3, 6, 80, 3, 2),
    _Stage(5, 6, 112, 3, 1),
    _Stage(5, 6, 192, 4, 2),
    _Stage(3, 6, 320, 1, 1),
)


def efficientnet_b0(net: NetworkBuilder) -> Stages:
    """Adds EfficientNet-B0 up to its last convolution, with swish."""
    inside = 32
    net.convolution(inside, 3, stride=2, activation="swish")
    stages, stride = {}, 2
    for stage in _STAGES:
        for number in range(stage.blocks):
            stage_stride = stage.stride if number == 0 else 1
            stride *= stage_stride
            _add_block(net, inside * stage.factor, stage, stage_stride)
            inside = stage.filters
            stages[stride] = net.last
    stages[stride] = net.convolution(1280, 1, activation="swish")
    return stages


def _add_block(net: NetworkBuilder, expansion: int, stage: _Stage, stride: int) -> None:
    block_input, channels = net.last, net.channels
    if stage.factor > 1:
        net.convolution(expansion, 1, activation="swish")
    net.depthwise(stage.size, stride, activation="swish")
    net.squeeze_scale(max(1, channels // 4), "swish")
    net.convolution(stage.filters, 1, activation="linear")
    if stride == 1 and net.channels == channels:
        net.shortcut(block_input)
