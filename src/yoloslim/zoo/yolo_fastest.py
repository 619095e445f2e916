"""Yolo-Fastest 1.1 and its twice as wide form (dog-qiuqiu, 2021), in Darknet's own sections."""

from __future__ import annotations

from typing import NamedTuple

from yoloslim.zoo.anchors import parse_anchors
from yoloslim.zoo.builder import NET_TRAINING, Detector, Head, NetworkBuilder, Stages
from yoloslim.zoo.yolov3 import pooled_sizes

_ANCHORS = parse_anchors("12,18 37,49 52,132 115,73 119,199 242,238")
_NET_TRAINING = NET_TRAINING | {
    "batch": "32",
    "subdivisions": "1",
    "momentum": "0.949",
    "burn_in": "4000",
    "max_batches": "500000",
}
_YOLO_TRAINING = {
    "jitter": ".15",
    "ignore_thresh": ".5",
    "truth_thresh": "1",
    "random": "0",
    "iou_thresh": "0.213",
    "cls_normalizer": "1.0",
    "iou_normalizer": "0.07",
    "iou_loss": "ciou",
    "nms_kind": "greedynms",
    "beta_nms": "0.6",
}


class _Stage(NamedTuple):
    """Blocks of one kind: the first leads from the stage before, the others are residual.

    Attributes:
        entry: channels inside the first block.
        inside: channels inside the others.
        filters: channels that each gives.
        stride: of the first block.
    """

    entry: int
    inside: int
    filters: int
    residual: int
    stride: int


_STAGES = (
    _Stage(8, 8, 4, 1, 1),
    _Stage(24, 32, 8, 2, 2),
    _Stage(32, 48, 8, 2, 2),
    _Stage(48, 96, 16, 4, 1),
    _Stage(96, 136, 24, 4, 2),
    _Stage(136, 224, 48, 5, 2),
)


def fastest(net: NetworkBuilder) -> Stages:
    """Adds the backbone of Yolo-Fastest."""
    return _backbone(net, 1, 0.15)


def fastest_xl(net: NetworkBuilder) -> Stages:
    """Adds the backbone of Yolo-Fastest-XL, which has twice the channels."""
    return _backbone(net, 2, 0.2)


def _backbone(net: NetworkBuilder, factor: int, dropped: float) -> Stages:
    net.convolution(8 * factor, 3, stride=2)
    stages, stride = {}, 2
    for stage in _STAGES:
        stride *= stage.stride
        block_input = _block(net, factor * stage.entry, factor * stage.filters, stage.stride)
        for _ in range(stage.residual):
            _block(net, factor * stage.inside, factor * stage.filters, 1)
            net.dropout(dropped)
            block_input = net.shortcut(block_input)
        stages[stride] = block_input
    return stages


def _block(net: NetworkBuilder, inside: int, filters: int, stride: int) -> str:
    """Adds a convolution that widens, one within each channel, and one that narrows."""
    net.convolution(inside, 1)
    net.grouped(3, stride)
    return net.convolution(filters, 1, activation="linear")


def yolo_fastest_head(net: NetworkBuilder, stages: Stages, detector: Detector) -> None:
    """Adds spatial pyramid pooling and two heads, at strides 32 and 16."""
    net.go_to(stages[32])
    pooled_sizes(net, (3, 5, 9))
    trunk = net.convolution(96, 1)
    _prediction(net, 32, (3, 4, 5), detector)
    net.go_to(trunk)
    net.route(net.upsample(), stages[16])
    _prediction(net, 16, (0, 1, 2), detector)


def _prediction(net: NetworkBuilder, stride: int, mask: tuple[int, ...], detector: Detector) -> None:
    for _ in range(2):
        net.grouped(5)
        net.mixed()
    net.head(stride, mask, detector)


YOLO_FASTEST = Head(yolo_fastest_head, _ANCHORS, _YOLO_TRAINING, net_training=_NET_TRAINING)
