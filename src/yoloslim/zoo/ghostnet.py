"""GhostNet (Han et al., 2020) as a backbone: half of every layer's channels are made by a cheap depthwise filter."""

from __future__ import annotations

from typing import NamedTuple

from yoloslim.zoo.builder import NetworkBuilder, Stages


class _Block(NamedTuple):
    """A ghost bottleneck.

    Attributes:
        size: of the depthwise convolution where the stride is 2.
        expansion: channels inside.
        filters: channels it gives.
        squeeze: whether it has squeeze-and-excitation.
    """

    size: int
    expansion: int
    filters: int
    squeeze: bool
    stride: int


_BLOCKS = (
    _Block(3, 16, 16, False, 1),
    _Block(3, 48, 24, False, 2),
    _Block(3, 72, 24, False, 1),
    _Block(5, 72, 40, True, 2),
    _Block(5, 120, 40, True, 1),
    _Block(3, 240, 80, False, 2),
    _Block(3, 200, 80, False, 1),
    _Block(3, 184, 80, False, 1),
    _Block(3, 184, 80, False, 1),
    _Block(3, 480, 112, True, 1),
    _Block(3, 672, 112, True, 1),
    _Block(5, 672, 160, True, 2),
    _Block(5, 960, 160, False, 1),
    _Block(5, 960, 160, True, 1),
    _Block(5, 960, 160, False, 1),
    _Block(5, 960, 160, True, 1),
)


def ghostnet(net: NetworkBuilder) -> Stages:
    """Adds GhostNet up to its last convolution."""
    net.convolution(16, 3, stride=2, activation="relu")
    stages, stride = {}, 2
    for block in _BLOCKS:
        stride *= block.stride
        stages[stride] = _add_block(net, block)
    stages[stride] = net.convolution(960, 1, activation="relu")
    return stages


def _add_block(net: NetworkBuilder, block: _Block) -> str:
    block_input, channels = net.last, net.channels
    _ghost(net, block.expansion, "relu")
    if block.stride == 2:
        net.depthwise(block.size, 2)
    if block.squeeze:
        net.squeeze_scale(net.channels // 4, "relu")
    main = _ghost(net, block.filters, "linear")
    if block.stride == 1 and net.channels == channels:
        return net.shortcut(block_input)
    net.go_to(block_input)
    net.depthwise(block.size, block.stride)
    net.convolution(block.filters, 1, activation="linear")
    return net.shortcut(main)


def _ghost(net: NetworkBuilder, filters: int, activation: str) -> str:
    """Adds half of ``filters`` by a convolution, and the other half from these by a depthwise one."""
    primary = net.convolution(filters, 1, activation=activation, parts=2)
    cheap = net.depthwise(3, activation=activation)
    return net.route(primary, cheap)
