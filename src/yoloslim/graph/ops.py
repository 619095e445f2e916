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
        blur: side of the binomial filter behind the activation that takes the strides (``antialiasing``; Zhang, Making
            Convolutional Networks Shift-Invariant Again, 2019), 3 or 2; 0 for none.
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
    blur: int = 0

    @property
    def strides(self) -> tuple[int, int]:
        """Strides of the convolution itself, down and across: 1 where the blur takes them."""
        return (1, 1) if self.blur else (self.stride_y, self.stride_x)


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
    """``[maxpool]``: ``padding`` is the total on both sides, ``size - 1`` unless set; cells outside never win.

    Attributes:
        blur: side of the binomial filter behind it that takes the strides, as of ``Convolution``.
    """

    size: int
    stride_x: int
    stride_y: int
    padding: int
    blur: int = 0

    @property
    def strides(self) -> tuple[int, int]:
        """Strides of the pooling itself, down and across: 1 where the blur takes them."""
        return (1, 1) if self.blur else (self.stride_y, self.stride_x)


@dataclass(frozen=True, slots=True)
class MaxPoolDepth(Op):
    """``[maxpool]`` with ``maxpool_depth``: channel ``g`` is the largest of input channels ``g + k * out_channels``."""

    out_channels: int


@dataclass(frozen=True, slots=True)
class LocalAvgPool(Op):
    """``[local_avgpool]``: mean of each window of a ``MaxPool``; cells outside of the map do not count."""

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
    """``[shortcut]``: the sum of all inputs, in the channels of the first; shorter inputs add to the front ones.

    Of an input whose sides are a multiple of the first's, every so manieth cell counts (ResNet; shortcut_cpu).

    Attributes:
        weights: whether each input, or each channel of each input, is multiplied by a learned weight.
        normalization: how the weights of all inputs are made to sum to about 1: as shares of those above 0, or of
            their exponentials.
    """

    activation: str = "linear"
    weights: Literal["none", "per_feature", "per_channel"] = "none"
    normalization: Literal["none", "relu", "softmax"] = "none"


@dataclass(frozen=True, slots=True)
class ScaleChannels(Op):
    """``[scale_channels]``: second input times the first, a scale for each channel, shape ``(C, 1, 1)``.

    Attributes:
        spatial: ``scale_wh=1``: the first input is one scale for each cell instead, shape ``(1, H, W)``.
    """

    activation: str = "linear"
    spatial: bool = False


@dataclass(frozen=True, slots=True)
class Sam(Op):
    """``[sam]``: the product of two maps of one shape, value by value (spatial attention; YOLOv4, 2020)."""

    activation: str = "linear"


@dataclass(frozen=True, slots=True)
class Dropout(Op):
    """``[dropout]``: zeroes activations with ``probability`` in training, nothing otherwise.

    Attributes:
        block_cells: side of the squares that are zeroed as a whole (``dropblock``; Ghiasi et al., DropBlock, 2018).
        block_share: the same as a share of the map's sides, 0..1. Both are 0 where single values are zeroed.
    """

    probability: float = 0.2
    block_cells: int = 0
    block_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Crop(Op):
    """``[crop]``: the middle of the map; ``scaled`` takes its values from 0..1 to -1..1 (old classifiers)."""

    height: int
    width: int
    scaled: bool = True


@dataclass(frozen=True, slots=True)
class Empty(Op):
    """``[empty]``: gives its input."""


@dataclass(frozen=True, slots=True)
class Contrastive(Op):
    """``[contrastive]``: gives its input, by which Darknet tells tracked objects apart; a loss that only it trains."""


@dataclass(frozen=True, slots=True)
class Yolo(Op):
    """``[yolo]``, ``[Gaussian_yolo]`` and YOLOv2's ``[region]``: reads its input as boxes; the input is the head map.

    Attributes:
        mask: indices into ``anchors`` of the boxes that each cell of this head predicts.
        anchors: (width, height) of every anchor of the network, pixels of the network's input, or cells.
        classes: number of classes.
        scale_x_y: stretch of the cell offset, ``sigmoid(x) * scale_x_y - (scale_x_y - 1) / 2``.
        new_coords: head map values are used as they are and sizes are ``(2 w)^2 * anchor`` (YOLOv4-csp).
        region: the section is ``[region]``, whose anchors are in cells of the head map.
        class_score: of a class value; ``tree`` is YOLO9000's softmax along a tree of classes.
        gaussian: each of the four values of a box is followed by its uncertainty, a logit, and a score is objectness
            times class probability times certainty, 1 less the mean uncertainty (Choi et al., Gaussian YOLOv3, 2019).
    """

    mask: tuple[int, ...]
    anchors: tuple[tuple[float, float], ...]
    classes: int
    scale_x_y: float = 1.0
    new_coords: bool = False
    region: bool = False
    class_score: Literal["logistic", "softmax", "tree"] = "logistic"
    gaussian: bool = False

    @property
    def box(self) -> slice:
        """Where x, y, width and height stand among the values of one box."""
        return slice(0, 8, 2) if self.gaussian else slice(0, 4)

    @property
    def uncertainties(self) -> slice:
        """Where the uncertainties of x, y, width and height stand; none but in a Gaussian head."""
        return slice(1, 8, 2) if self.gaussian else slice(0, 0)

    @property
    def objectness(self) -> int:
        """Where the objectness stands among the values of one box; the classes follow."""
        return 8 if self.gaussian else 4

    @property
    def values(self) -> int:
        """How many values one box has: ``5 + classes``, or ``9 + classes`` with uncertainties."""
        return self.objectness + 1 + self.classes

    def used_anchors(self, stride: tuple[float, float]) -> tuple[tuple[float, float], ...]:
        """Gives the anchors of this head in pixels of the network's input, in the order of ``mask``.

        Args:
            stride: pixels a cell of the head map, horizontally and vertically.
        """
        across, down = stride if self.region else (1, 1)
        return tuple((self.anchors[index][0] * across, self.anchors[index][1] * down) for index in self.mask)

    @property
    def channels(self) -> int:
        """Channels that this head's input must have: ``len(mask) * values``."""
        return len(self.mask) * self.values


def is_depthwise(op: Op) -> bool:
    """Whether an op filters every channel by itself."""
    return isinstance(op, Depthwise) or (isinstance(op, Convolution) and op.groups == op.filters > 1)
