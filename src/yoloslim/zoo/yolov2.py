"""YOLOv2 and YOLOv2-tiny (Redmon and Farhadi, YOLO9000, 2017): one head, ``[region]``."""

from __future__ import annotations

from yoloslim.zoo.anchors import parse_anchors
from yoloslim.zoo.builder import COARSEST_STRIDE, Detector, Head, NetworkBuilder, Stages

_CELLS = parse_anchors("0.57273,0.677385 1.87446,2.06253 3.33843,5.47434 7.88282,3.52778 9.77052,9.16828")
YOLOV2_ANCHORS = tuple((COARSEST_STRIDE * width, COARSEST_STRIDE * height) for width, height in _CELLS)

_REGION_TRAINING = {
    "bias_match": "1",
    "coords": "4",
    "jitter": ".3",
    "rescore": "1",
    "object_scale": "5",
    "noobject_scale": "1",
    "class_scale": "1",
    "coord_scale": "1",
    "absolute": "1",
    "thresh": ".6",
    "random": "1",
}
_TINY_REGION_TRAINING = _REGION_TRAINING | {"jitter": ".2", "rescore": "0"}
_MASK = tuple(range(len(YOLOV2_ANCHORS)))


def darknet19(net: NetworkBuilder) -> Stages:
    """Adds Darknet-19: after each max-pooling, wide and narrow convolutions in turn."""
    stages = {1: net.convolution(32, 3)}
    for stride, filters, narrow in ((2, 64, 0), (4, 128, 1), (8, 256, 1), (16, 512, 2), (32, 1024, 2)):
        net.maxpool(2, stride=2)
        net.convolution(filters, 3)
        for _ in range(narrow):
            net.convolution(filters // 2, 1)
            net.convolution(filters, 3)
        stages[stride] = net.last
    return stages


def yolov2_head(net: NetworkBuilder, stages: Stages, detector: Detector) -> None:
    """Adds the head of YOLOv2, which also sees the finer stage, its cells as channels."""
    net.go_to(stages[32])
    net.convolution(1024, 3)
    coarse = net.convolution(1024, 3)
    net.go_to(stages[16])
    net.convolution(64, 1)
    net.route(net.reorg(2), coarse)
    net.convolution(1024, 3)
    net.head(32, _MASK, detector)


def yolov2_tiny_head(net: NetworkBuilder, stages: Stages, detector: Detector) -> None:
    """Adds the head of YOLOv2-tiny."""
    net.go_to(stages[32])
    net.convolution(512, 3)
    net.head(32, _MASK, detector)


YOLOV2 = Head(yolov2_head, YOLOV2_ANCHORS, _REGION_TRAINING, region=True)
YOLOV2_TINY = Head(yolov2_tiny_head, YOLOV2_ANCHORS, _TINY_REGION_TRAINING, region=True)
