"""Composes ops into a graph, one layer after another as a cfg does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from yoloslim.cfg.schema import MAX_FILTERS
from yoloslim.cfg.sections import Option, Section
from yoloslim.errors import RecipeError
from yoloslim.graph.graph import IMAGE, Graph, Node, node_name
from yoloslim.graph.ops import (
    AvgPool,
    Convolution,
    Depthwise,
    Dropout,
    MaxPool,
    Op,
    Reorg,
    Route,
    ScaleChannels,
    Shape,
    Shortcut,
    SqueezeExcite,
    Upsample,
    Yolo,
)
from yoloslim.graph.shapes import node_shape
from yoloslim.graph.to_cfg import section_of
from yoloslim.zoo.anchors import Anchors

Stages = Mapping[int, str]
"""What a backbone gives to a head: the node with the last map at each stride; the network's last node among them."""

COARSEST_STRIDE = 32
MAX_WIDTH = 16.0
CHANNEL_STEP = 8
"""Filter counts are multiples of it at every width: halves stay whole, and hardware likes it."""

NET_TRAINING = {
    "batch": "64",
    "subdivisions": "16",
    "momentum": "0.9",
    "decay": "0.0005",
    "angle": "0",
    "saturation": "1.5",
    "exposure": "1.5",
    "hue": ".1",
    "learning_rate": "0.001",
    "burn_in": "1000",
    "max_batches": "500200",
    "policy": "steps",
    "steps": "400000,450000",
    "scales": ".1,.1",
}
"""What Darknet needs in ``[net]`` to train, with the values that YOLOv3 was published with."""


@dataclass(frozen=True, slots=True)
class Detector:
    """What the heads of a network predict.

    Attributes:
        training: keys of ``[yolo]`` that only Darknet's training reads.
        scale_x_y: stretch of the cell offset at each stride; 1 where it is left out.
        new_coords: head maps are logistic already (see ``Yolo``).
        region: heads are ``[region]``, as YOLOv2's.
    """

    classes: int
    anchors: Anchors
    training: Mapping[str, str]
    scale_x_y: Mapping[int, float] = field(default_factory=dict)
    new_coords: bool = False
    region: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """The part of a network that predicts, for any backbone that gives the stages it reads.

    Attributes:
        build: adds it to a network.
        anchors: those of COCO that it was published with.
        training: keys of ``[yolo]`` that only Darknet's training reads.
        scale_x_y: see ``Detector``.
        new_coords: see ``Detector``.
        region: see ``Detector``.
        net_training: what ``[net]`` says beside the size.
    """

    build: Callable[[NetworkBuilder, Stages, Detector], None]
    anchors: Anchors
    training: Mapping[str, str]
    scale_x_y: Mapping[int, float] = field(default_factory=dict)
    new_coords: bool = False
    region: bool = False
    net_training: Mapping[str, str] = field(default_factory=lambda: NET_TRAINING)


class NetworkBuilder:
    """A network under construction; every method that adds a layer gives the name of its node.

    Args:
        size: (width, height) of the input, pixels.
        width: factor on the filters of every convolution but the heads'.

    Raises:
        RecipeError: the size does not fit the strides, or the width is out of range.
    """

    def __init__(self, size: tuple[int, int], width: float = 1.0) -> None:
        if min(size) < COARSEST_STRIDE or any(side % COARSEST_STRIDE for side in size):
            raise RecipeError(f"size={size[0]}x{size[1]}: expected a width and height that are multiples of 32")
        if not 0 < width <= MAX_WIDTH:
            raise RecipeError(f"width={width:g}: expected a factor above 0, up to {MAX_WIDTH:g}")
        self._size = size
        self._width = width
        self._indices: dict[str, int] = {}
        self._shapes = {IMAGE: Shape(3, size[1], size[0])}
        self._nodes: list[Node] = []

    @property
    def last(self) -> str:
        """The node that the next layer reads."""
        return self._nodes[-1].name if self._nodes else IMAGE

    @property
    def channels(self) -> int:
        """Channels of the last layer."""
        return self._shapes[self.last].channels

    def convolution(
        self, filters: int, size: int, stride: int = 1, *, activation: str = "leaky", parts: int = 1
    ) -> str:
        """Adds a convolution with batch-norm, padded to keep the size.

        Args:
            filters: those of width 1.
            parts: the layer gives one of this many equal parts of them.
        """
        op = Convolution(
            filters=scaled_filters(filters, self._width) // parts,
            size=size,
            stride_x=stride,
            stride_y=stride,
            pad=size // 2,
            batch_norm=True,
            activation=activation,
        )
        return self._add("convolutional", op, (self.last,))

    def depthwise(self, size: int, stride: int = 1, *, activation: str = "linear") -> str:
        """Adds ``[depthwise]``: one filter a channel, with batch-norm, padded to keep the size."""
        op = Depthwise(self.channels, size, stride, size // 2, batch_norm=True, activation=activation)
        return self._add("depthwise", op, (self.last,))

    def grouped(self, size: int, stride: int = 1) -> str:
        """Adds what ``depthwise`` does in Darknet's own section, a group for each channel, with leaky."""
        op = Depthwise(self.channels, size, stride, size // 2, batch_norm=True, activation="leaky").as_convolution()
        return self._add("convolutional", op, (self.last,))

    def mixed(self) -> str:
        """Adds a 1x1 convolution with batch-norm and no activation that gives as many channels as it reads."""
        op = Convolution(self.channels, batch_norm=True, activation="linear")
        return self._add("convolutional", op, (self.last,))

    def squeeze_excite(self) -> str:
        """Adds ``[se]`` with a hidden layer of a quarter of the channels."""
        return self._add("se", SqueezeExcite(self.channels // 4), (self.last,))

    def squeeze_scale(self, hidden: int, activation: str) -> str:
        """Adds squeeze-and-excitation in Darknet's own layers: mean, two convolutions, ``[scale_channels]``.

        Args:
            hidden: channels of the hidden layer, at every width.
            activation: of the hidden layer; that of the scales is logistic.
        """
        features, channels = self.last, self.channels
        self._add("avgpool", AvgPool(), (features,))
        self._add("convolutional", Convolution(hidden, activation=activation), (self.last,))
        self._add("convolutional", Convolution(channels, activation="logistic"), (self.last,))
        return self._add("scale_channels", ScaleChannels(), (self.last, features), references=[features])

    def maxpool(self, size: int, stride: int) -> str:
        """Adds a max-pooling layer with Darknet's padding."""
        return self._add("maxpool", MaxPool(size, stride, stride, size - 1), (self.last,))

    def upsample(self) -> str:
        """Adds a doubling of the map."""
        return self._add("upsample", Upsample(2), (self.last,))

    def dropout(self, probability: float) -> str:
        """Adds dropout, which only training has."""
        return self._add("dropout", Dropout(probability), (self.last,))

    def shortcut(self, source: str) -> str:
        """Adds the sum of the last layer and ``source``."""
        return self._add("shortcut", Shortcut(), (self.last, source), references=[source])

    def reorg(self, stride: int) -> str:
        """Adds cells as channels, as Darknet's ``[reorg]`` does."""
        return self._add("reorg", Reorg(stride), (self.last,))

    def route(self, *sources: str) -> str:
        """Adds the concatenation of ``sources``."""
        return self._add("route", Route(), sources, references=sources)

    def second_half(self) -> str:
        """Adds the second half of the last layer's channels."""
        return self._add("route", Route(groups=2, group_id=1), (self.last,), references=[self.last])

    def go_to(self, source: str) -> None:
        """Makes the next layer read ``source``."""
        if source != self.last:
            self.route(source)

    def head(self, stride: int, mask: tuple[int, ...], detector: Detector) -> None:
        """Adds the convolution that gives a head map, and the ``[yolo]`` that reads it.

        Raises:
            RecipeError: the classes are none, or more than a head can hold.
        """
        most = MAX_FILTERS // len(mask) - 5
        if not 1 <= detector.classes <= most:
            raise RecipeError(f"classes={detector.classes}: expected 1 to {most}")
        yolo = _yolo(stride, mask, detector)
        activation = "logistic" if detector.new_coords else "linear"
        self._add("convolutional", Convolution(yolo.channels, activation=activation), (self.last,))
        self._add("region" if detector.region else "yolo", yolo, (self.last,), extras=detector.training)

    def finish(self, training: Mapping[str, str] = NET_TRAINING) -> Graph:
        """Gives the network; ``training`` is what its ``[net]`` says beside the size."""
        width, height = self._size
        options = {"width": str(width), "height": str(height), "channels": "3", **training}
        section = Section("net", tuple(Option(key, value) for key, value in options.items()))
        return Graph(tuple(self._nodes), Shape(3, height, width), section)

    def _add(
        self,
        kind: str,
        op: Op,
        inputs: Sequence[str],
        references: Sequence[str] = (),
        extras: Mapping[str, str] | None = None,
    ) -> str:
        index = len(self._nodes)
        relative = [self._indices[name] - index for name in references]
        node = Node(node_name(index, kind), op, tuple(inputs), section_of(kind, op, relative, extras or {}))
        self._shapes[node.name] = node_shape(node, [self._shapes[name] for name in inputs])
        self._nodes.append(node)
        self._indices[node.name] = index
        return node.name


def _yolo(stride: int, mask: tuple[int, ...], detector: Detector) -> Yolo:
    if detector.region:
        cells = tuple((width / stride, height / stride) for width, height in detector.anchors)
        return Yolo(mask, cells, detector.classes, region=True, class_score="softmax")
    return Yolo(mask, detector.anchors, detector.classes, detector.scale_x_y.get(stride, 1.0), detector.new_coords)


def scaled_filters(filters: int, width: float) -> int:
    """Gives ``filters`` times ``width`` to the nearest multiple of 8, or of fewer than 8 ``filters`` themselves."""
    step = min(CHANNEL_STEP, filters)
    return max(1, int(filters * width / step + 0.5)) * step
