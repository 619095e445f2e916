"""What a node of a network does, as data.

An op holds the numbers that its cfg section sets and nothing else: no tensors, no names, no shapes. Everything that
is done with ops (shapes, lanes, cost, modules, order of weights ...) is a ``functools.singledispatch`` function in the
package that owns the concern.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple


class Shape(NamedTuple):
    """Size of one feature map, without the batch: channels, height, width."""

    channels: int
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Op:
    """What a node does."""


@dataclass(frozen=True, slots=True)
class Convolution(Op):
    """``[convolutional]``: convolution, batch-norm where asked for, activation.

    Attributes:
        pad: zeros on each side in units of ``dilation`` (Darknet pads ``pad * dilation`` pixels, im2col_cpu_ext).
        groups: number of groups; equal to the input channels for a depthwise convolution.
    """

    filters: int
    size: int = 1
    stride_x: int = 1
    stride_y: int = 1
    pad: int = 0
    dilation: int = 1
    groups: int = 1
    batch_norm: bool = False
    activation: str = "logistic"


@dataclass(frozen=True, slots=True)
class Depthwise(Op):
    """``[depthwise]``: one filter a channel; a section of the originals' dialect, ``groups=channels`` in Darknet's.

    Attributes:
        filters: number of channels, in and out.
    """

    filters: int
    size: int = 1
    stride: int = 1
    pad: int = 0
    batch_norm: bool = False
    activation: str = "logistic"

    def as_convolution(self) -> Convolution:
        """Gives the grouped convolution that does the same."""
        return Convolution(
            filters=self.filters,
            size=self.size,
            stride_x=self.stride,
            stride_y=self.stride,
            pad=self.pad,
            groups=self.filters,
            batch_norm=self.batch_norm,
            activation=self.activation,
        )


@dataclass(frozen=True, slots=True)
class SqueezeExcite(Op):
    """``[se]``: channels rescaled by a hard sigmoid of a two-layer perceptron of their means (Hu et al., 2018).

    Attributes:
        hidden: width of the hidden layer, which has neither bias nor batch-norm.
    """

    hidden: int


@dataclass(frozen=True, slots=True)
class MaxPool(Op):
    """``[maxpool]``: ``padding`` is the total on both sides, ``size - 1`` unless set; cells outside never win."""

    size: int
    stride_x: int
    stride_y: int
    padding: int


@dataclass(frozen=True, slots=True)
class AvgPool(Op):
    """``[avgpool]``: mean over the whole map, ``(C, H, W) -> (C, 1, 1)``."""


@dataclass(frozen=True, slots=True)
class Upsample(Op):
    """``[upsample]``: nearest-neighbour enlargement by ``stride``, values times ``scale``."""

    stride: int
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Reorg(Op):
    """``[reorg]``: cells to channels, ``(C, H, W) -> (C * stride^2, H / stride, W / stride)``, as YOLOv2 was trained.

    Darknet counts in the shape of the input where the output's is meant (blas.c, reorg_cpu), so it reads the map as
    ``(C / stride^2, H * stride, W * stride)``, moves cells to channels, and reads the result in the output's shape:
    an output channel mixes cells of several input channels.
    """

    stride: int


@dataclass(frozen=True, slots=True)
class Reorg3d(Op):
    """``[reorg3d]``: cells to channels; output channel ``offset * C + c`` is cell ``offset`` of channel ``c``."""

    stride: int


@dataclass(frozen=True, slots=True)
class Route(Op):
    """``[route]``: concatenation of part ``group_id`` of ``groups`` equal channel parts of every input."""

    groups: int = 1
    group_id: int = 0


@dataclass(frozen=True, slots=True)
class Shortcut(Op):
    """``[shortcut]``: the sum of all inputs, in the channels of the first; shorter inputs add to the front ones."""

    activation: str = "linear"


@dataclass(frozen=True, slots=True)
class ScaleChannels(Op):
    """``[scale_channels]``: second input times the first, a scale for each channel, shape ``(C, 1, 1)``.

    Attributes:
        spatial: ``scale_wh=1``: the first input is one scale for each cell instead, shape ``(1, H, W)``.
    """

    activation: str = "linear"
    spatial: bool = False


@dataclass(frozen=True, slots=True)
class Dropout(Op):
    """``[dropout]``: zeroes activations with ``probability`` in training, nothing otherwise."""

    probability: float = 0.5


@dataclass(frozen=True, slots=True)
class Yolo(Op):
    """``[yolo]``, and YOLOv2's ``[region]``: reads its input as boxes; the input is the head map.

    Attributes:
        mask: indices into ``anchors`` of the boxes that each cell of this head predicts.
        anchors: (width, height) of every anchor of the network, pixels of the network's input, or cells.
        classes: number of classes.
        scale_x_y: stretch of the cell offset, ``sigmoid(x) * scale_x_y - (scale_x_y - 1) / 2``.
        new_coords: head map values are used as they are and sizes are ``(2 w)^2 * anchor`` (YOLOv4-csp).
        region: the section is ``[region]``, whose anchors are in cells of the head map.
        class_score: of a class value; ``tree`` is YOLO9000's softmax along a tree of classes.
    """

    mask: tuple[int, ...]
    anchors: tuple[tuple[float, float], ...]
    classes: int
    scale_x_y: float = 1.0
    new_coords: bool = False
    region: bool = False
    class_score: Literal["logistic", "softmax", "tree"] = "logistic"

    def used_anchors(self, stride: tuple[float, float]) -> tuple[tuple[float, float], ...]:
        """Gives the anchors of this head in pixels of the network's input, in the order of ``mask``.

        Args:
            stride: pixels a cell of the head map, horizontally and vertically.
        """
        across, down = stride if self.region else (1, 1)
        return tuple((self.anchors[index][0] * across, self.anchors[index][1] * down) for index in self.mask)

    @property
    def channels(self) -> int:
        """Channels that this head's input must have: ``len(mask) * (5 + classes)``."""
        return len(self.mask) * (5 + self.classes)
