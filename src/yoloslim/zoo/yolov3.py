"""YOLOv3 and YOLOv3-tiny (Redmon and Farhadi, 2018)."""

from __future__ import annotations

from collections.abc import Sequence

from yoloslim.zoo.anchors import parse_anchors
from yoloslim.zoo.builder import Detector, Head, NetworkBuilder, Stages

YOLOV3_ANCHORS = parse_anchors("10,13 16,30 33,23 30,61 62,45 59,119 116,90 156,198 373,326")
TINY_3L_ANCHORS = parse_anchors("4,7 7,15 13,25 25,42 41,67 75,94 91,162 158,205 250,332")
TINY_ANCHORS = parse_anchors("10,14 23,27 37,58 81,82 135,169 344,319")

_YOLO_TRAINING = {"jitter": ".3", "ignore_thresh": ".7", "truth_thresh": "1", "random": "1"}


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
    _finer_levels(net, stages, _yolov3_level(net, 512), detector)


def yolov3_spp_head(net: NetworkBuilder, stages: Stages, detector: Detector) -> None:
    """Adds the heads of YOLOv3 with spatial pyramid pooling in the coarsest level."""
    net.go_to(stages[32])
    _finer_levels(net, stages, pooling_pyramid(net), detector)


def _finer_levels(net: NetworkBuilder, stages: Stages, trunk: str, detector: Detector) -> None:
    _yolov3_prediction(net, 32, 512, detector)
    for stride, filters in ((16, 256), (8, 128)):
        net.go_to(trunk)
        net.convolution(filters, 1)
        net.route(net.upsample(), stages[stride])
        trunk = _yolov3_level(net, filters)
        _yolov3_prediction(net, stride, filters, detector)


def _yolov3_level(net: NetworkBuilder, filters: int) -> str:
    bottleneck(net, filters)
    net.convolution(2 * filters, 3)
    return net.convolution(filters, 1)


def bottleneck(net: NetworkBuilder, filters: int) -> str:
    """Adds a narrow, a wide and a narrow convolution."""
    net.convolution(filters, 1)
    net.convolution(2 * filters, 3)
    return net.convolution(filters, 1)


def pooling_pyramid(net: NetworkBuilder) -> str:
    """Adds spatial pyramid pooling (He et al., 2014) between two bottlenecks."""
    bottleneck(net, 512)
    pooled_sizes(net)
    return bottleneck(net, 512)


def pooled_sizes(net: NetworkBuilder, sizes: Sequence[int] = (5, 9, 13)) -> str:
    """Adds the largest values in windows of so many cells, from small to large, beside the last layer."""
    source = net.last
    pooled = []
    for size in sizes:
        net.go_to(source)
        pooled.append(net.maxpool(size, stride=1))
    return net.route(*reversed(pooled), source)


def _yolov3_prediction(net: NetworkBuilder, stride: int, filters: int, detector: Detector) -> None:
    net.convolution(2 * filters, 3)
    net.head(stride, {32: (6, 7, 8), 16: (3, 4, 5), 8: (0, 1, 2)}[stride], detector)


def tiny_head(net: NetworkBuilder, stages: Stages, detector: Detector) -> None:
    """Adds the two heads of the tiny networks, at strides 32 and 16.

    The second one has anchors 1,2,3, as the published weights were trained; the published yolov3-tiny.cfg says 0,1,2.
    """
    _tiny_levels(net, stages, detector, ((32, (3, 4, 5)), (16, (1, 2, 3))))


def tiny_3l_head(net: NetworkBuilder, stages: Stages, detector: Detector) -> None:
    """Adds the heads of the tiny networks with three of them, at strides 32, 16 and 8."""
    _tiny_levels(net, stages, detector, ((32, (6, 7, 8)), (16, (3, 4, 5)), (8, (0, 1, 2))))


def _tiny_levels(
    net: NetworkBuilder, stages: Stages, detector: Detector, levels: Sequence[tuple[int, tuple[int, ...]]]
) -> None:
    """Adds a head for every stride and mask, each narrower than the one before."""
    net.go_to(stages[32])
    trunk = net.convolution(256, 1)
    for stride, mask in levels:
        filters = 16 * stride
        if stride < 32:
            net.go_to(trunk)
            net.convolution(filters // 2, 1)
            net.route(net.upsample(), stages[stride])
        wide = net.convolution(filters, 3)
        trunk = trunk if stride == 32 else wide
        net.head(stride, mask, detector)


YOLOV3 = Head(yolov3_head, YOLOV3_ANCHORS, _YOLO_TRAINING)
YOLOV3_SPP = Head(yolov3_spp_head, YOLOV3_ANCHORS, _YOLO_TRAINING)
YOLOV3_TINY = Head(tiny_head, TINY_ANCHORS, _YOLO_TRAINING)
YOLOV3_TINY_3L = Head(tiny_3l_head, TINY_3L_ANCHORS, _YOLO_TRAINING)
