"""YOLOv7-tiny (Wang et al., 2023) as Darknet has it, with leaky activations."""

from __future__ import annotations

from yoloslim.zoo.builder import NET_TRAINING, Detector, Head, NetworkBuilder, Stages
from yoloslim.zoo.yolov3 import YOLOV3_ANCHORS, pooled_sizes

_NET_TRAINING = NET_TRAINING | {
    "subdivisions": "1",
    "learning_rate": "0.00261",
    "max_batches": "2000200",
    "steps": "1600000,1800000",
}
_YOLO_TRAINING = {
    "jitter": ".1",
    "objectness_smooth": "1",
    "ignore_thresh": ".7",
    "truth_thresh": "1",
    "random": "0",
    "resize": "1.5",
    "iou_thresh": "0.2",
    "iou_normalizer": "0.05",
    "cls_normalizer": "0.5",
    "obj_normalizer": "1.0",
    "iou_loss": "ciou",
    "nms_kind": "diounms",
    "beta_nms": "0.6",
    "max_delta": "2",
}


def elan_tiny(net: NetworkBuilder) -> Stages:
    """Adds the backbone: four aggregation blocks with max-pooling between them."""
    net.convolution(32, 3, stride=2)
    net.convolution(64, 3, stride=2)
    stages = {4: _aggregation(net, 32)}
    for stride, filters in ((8, 64), (16, 128), (32, 256)):
        net.maxpool(2, stride=2)
        stages[stride] = _aggregation(net, filters)
    return stages


def yolov7_tiny_head(net: NetworkBuilder, stages: Stages, detector: Detector) -> None:
    """Adds the path up to fine maps, the path down again, and then the heads from fine to coarse."""
    net.go_to(stages[32])
    coarse = _pooling_stage(net)
    middle = _join_finer(net, stages[16], 128)
    fine = _join_finer(net, stages[8], 64)
    middle = _join_coarser(net, middle, 128)
    coarse = _join_coarser(net, coarse, 256)
    for source, stride, mask in ((fine, 8, (0, 1, 2)), (middle, 16, (3, 4, 5)), (coarse, 32, (6, 7, 8))):
        net.go_to(source)
        net.convolution(16 * stride, 3)
        net.head(stride, mask, detector)


def _aggregation(net: NetworkBuilder, filters: int) -> str:
    """Adds two branches of the same input, one of them deep, and all they compute on the way joined (ELAN)."""
    start = net.last
    first = net.convolution(filters, 1)
    net.go_to(start)
    second = net.convolution(filters, 1)
    third = net.convolution(filters, 3)
    net.route(first, second, third, net.convolution(filters, 3))
    return net.convolution(2 * filters, 1)


def _pooling_stage(net: NetworkBuilder) -> str:
    """Adds spatial pyramid pooling beside a bypass."""
    start = net.last
    bypass = net.convolution(256, 1)
    net.go_to(start)
    net.convolution(256, 1)
    pooled_sizes(net)
    net.route(bypass, net.convolution(256, 1))
    return net.convolution(256, 1)


def _join_finer(net: NetworkBuilder, stage: str, filters: int) -> str:
    net.convolution(filters, 1)
    enlarged = net.upsample()
    net.go_to(stage)
    net.route(net.convolution(filters, 1), enlarged)
    return _aggregation(net, filters // 2)


def _join_coarser(net: NetworkBuilder, coarser: str, filters: int) -> str:
    net.route(net.convolution(filters, 3, stride=2), coarser)
    return _aggregation(net, filters // 2)


YOLOV7_TINY = Head(
    yolov7_tiny_head,
    YOLOV3_ANCHORS,
    _YOLO_TRAINING,
    scale_x_y={8: 2.0, 16: 2.0, 32: 2.0},
    new_coords=True,
    net_training=_NET_TRAINING,
)
