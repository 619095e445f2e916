"""YOLOv3 and YOLOv3-tiny (Redmon and Farhadi, 2018)."""

from __future__ import annotations

from collections.abc import Sequence

from yoloslim.graph.graph import Graph
from yoloslim.zoo.anchors import checked_anchors, parse_anchors
from yoloslim.zoo.builder import Detector, NetworkBuilder, Stages

YOLOV3_ANCHORS = parse_anchors("10,13 16,30 33,23 30,61 62,45 59,119 116,90 156,198 373,326")
TINY_ANCHORS = parse_anchors("10,14 23,27 37,58 81,82 135,169 344,319")

_YOLO_TRAINING = {"jitter": ".3", "ignore_thresh": ".7", "truth_thresh": "1", "random": "1"}


def yolov3(
    classes: int = 80,
    size: tuple[int, int] = (608, 608),
    anchors: Sequence[tuple[float, float]] | None = None,
    width: float = 1.0,
) -> Graph:
    """Gives YOLOv3: Darknet-53 under a pyramid of three heads.

    Args:
        size: (width, height) of the input, pixels; multiples of 32.
        anchors: nine (width, height) pairs, smallest first; those of COCO unless given.
        width: factor on the filters of every convolution but the heads'.

    Raises:
        RecipeError: an argument is out of range.
    """
    checked = checked_anchors(YOLOV3_ANCHORS if anchors is None else anchors, 9, "yolov3")
    net = NetworkBuilder(size, width)
    yolov3_head(net, darknet53(net), Detector(classes, checked, _YOLO_TRAINING))
    return net.finish()


def yolov3_tiny(
    classes: int = 80,
    size: tuple[int, int] = (416, 416),
    anchors: Sequence[tuple[float, float]] | None = None,
    width: float = 1.0,
) -> Graph:
    """Gives YOLOv3-tiny: convolutions and max-pooling under two heads.

    Args:
        size: (width, height) of the input, pixels; multiples of 32.
        anchors: six (width, height) pairs, smallest first; those of COCO unless given.
        width: factor on the filters of every convolution but the heads'.

    Raises:
        RecipeError: an argument is out of range.
    """
    checked = checked_anchors(TINY_ANCHORS if anchors is None else anchors, 6, "yolov3-tiny")
    net = NetworkBuilder(size, width)
    tiny_head(net, darknet_tiny(net), Detector(classes, checked, _YOLO_TRAINING))
    return net.finish()


def darknet53(net: NetworkBuilder) -> Stages:
    """Adds Darknet-53: five stages of residual blocks, each at half the size of the one before."""
    net.convolution(32, 3)
    stages = {}
    for stride, filters, blocks in ((2, 64, 1), (4, 128, 2), (8, 256, 8), (16, 512, 8), (32, 1024, 4)):
        net.convolution(filters, 3, stride=2)
        for _ in range(blocks):
            block_input = net.last
            net.convolution(filters // 2, 1)
            net.convolution(filters, 3)
            net.shortcut(block_input)
        stages[stride] = net.last
    return stages


def darknet_tiny(net: NetworkBuilder) -> Stages:
    """Adds the backbone of YOLOv3-tiny: a convolution before every max-pooling, and one after the last."""
    stages = {}
    for stride, filters in ((1, 16), (2, 32), (4, 64), (8, 128), (16, 256)):
        stages[stride] = net.convolution(filters, 3)
        net.maxpool(2, stride=2)
    net.convolution(512, 3)
    net.maxpool(2, stride=1)
    stages[32] = net.convolution(1024, 3)
    return stages


def yolov3_head(net: NetworkBuilder, stages: Stages, detector: Detector) -> None:
    """Adds three heads from coarse to fine, each fed by the one before it and a stage of the backbone."""
    net.go_to(stages[32])
    trunk = _yolov3_level(net, 512)
    _yolov3_prediction(net, 32, 512, detector)
    for stride, filters in ((16, 256), (8, 128)):
        net.go_to(trunk)
        net.convolution(filters, 1)
        net.route(net.upsample(), stages[stride])
        trunk = _yolov3_level(net, filters)
        _yolov3_prediction(net, stride, filters, detector)


def _yolov3_level(net: NetworkBuilder, filters: int) -> str:
    for _ in range(2):
        net.convolution(filters, 1)
        net.convolution(2 * filters, 3)
    return net.convolution(filters, 1)


def _yolov3_prediction(net: NetworkBuilder, stride: int, filters: int, detector: Detector) -> None:
    net.convolution(2 * filters, 3)
    net.head(stride, {32: (6, 7, 8), 16: (3, 4, 5), 8: (0, 1, 2)}[stride], detector)


def tiny_head(net: NetworkBuilder, stages: Stages, detector: Detector) -> None:
    """Adds the two heads of the tiny networks, at strides 32 and 16.

    The second one has anchors 1,2,3, as the published weights were trained; the published yolov3-tiny.cfg says 0,1,2.
    """
    net.go_to(stages[32])
    trunk = net.convolution(256, 1)
    net.convolution(512, 3)
    net.head(32, (3, 4, 5), detector)
    net.go_to(trunk)
    net.convolution(128, 1)
    net.route(net.upsample(), stages[16])
    net.convolution(256, 3)
    net.head(16, (1, 2, 3), detector)
