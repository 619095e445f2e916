"""YOLOv4 (Bochkovskiy et al., 2020), YOLOv4-csp, YOLOv4x-mish and YOLOv4-tiny (Wang et al., Scaled-YOLOv4, 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from yoloslim.zoo.anchors import parse_anchors
from yoloslim.zoo.builder import NET_TRAINING, Detector, Head, NetworkBuilder, Stages
from yoloslim.zoo.yolov3 import TINY_ANCHORS, bottleneck, pooled_sizes, pooling_pyramid, tiny_3l_head, tiny_head

YOLOV4_ANCHORS = parse_anchors("12,16 19,36 40,28 36,75 76,55 72,146 142,110 192,243 459,401")
_MASKS = {8: (0, 1, 2), 16: (3, 4, 5), 32: (6, 7, 8)}

_NET_TRAINING = NET_TRAINING | {
    "subdivisions": "8",
    "momentum": "0.949",
    "learning_rate": "0.0013",
    "max_batches": "500500",
    "mosaic": "1",
}
_TINY_NET_TRAINING = NET_TRAINING | {
    "subdivisions": "1",
    "learning_rate": "0.00261",
    "max_batches": "2000200",
    "steps": "1600000,1800000",
}
_YOLO_TRAINING = {
    "jitter": ".3",
    "ignore_thresh": ".7",
    "truth_thresh": "1",
    "random": "1",
    "iou_thresh": "0.213",
    "cls_normalizer": "1.0",
    "iou_normalizer": "0.07",
    "iou_loss": "ciou",
    "nms_kind": "greedynms",
    "beta_nms": "0.6",
    "max_delta": "5",
}
_CSP_YOLO_TRAINING = _YOLO_TRAINING | {
    "jitter": ".1",
    "objectness_smooth": "1",
    "resize": "1.5",
    "iou_thresh": "0.2",
    "cls_normalizer": "0.5",
    "iou_normalizer": "0.05",
    "obj_normalizer": "1.0",
    "nms_kind": "diounms",
}
_TINY_YOLO_TRAINING = _YOLO_TRAINING | {"random": "0", "resize": "1.5"}


def csp_darknet53(net: NetworkBuilder) -> Stages:
    """Adds CSPDarknet-53: Darknet-53 whose residual blocks see half the channels of their stage, with mish."""
    net.convolution(32, 3, activation="mish")
    # The first stage gives both of its branches all the channels, and narrows inside its block.
    stages = {2: _csp_stage(net, 64, branch=64, inner=32, blocks=1)}
    for stride, filters, blocks in ((4, 128, 2), (8, 256, 8), (16, 512, 8), (32, 1024, 4)):
        stages[stride] = _csp_stage(net, filters, branch=filters // 2, inner=filters // 2, blocks=blocks)
    return stages


def csp_darknet53_scaled(net: NetworkBuilder) -> Stages:
    """Adds the backbone of YOLOv4-csp: CSPDarknet-53 with a plain residual block at first."""
    return _scaled_backbone(net, 64, (2, 8, 8, 4))


def csp_darknet53_wide(net: NetworkBuilder) -> Stages:
    """Adds the backbone of YOLOv4x-mish: that of YOLOv4-csp, a quarter wider and a third deeper."""
    return _scaled_backbone(net, 80, (3, 10, 10, 5))


def _scaled_backbone(net: NetworkBuilder, filters: int, blocks: Sequence[int]) -> Stages:
    """Adds a residual block of ``filters``, then a stage of twice as many as before for each number of blocks."""
    net.convolution(32, 3, activation="mish")
    start = net.convolution(filters, 3, stride=2, activation="mish")
    net.convolution(filters // 2, 1, activation="mish")
    net.convolution(filters, 3, activation="mish")
    stages = {2: net.shortcut(start)}
    for level, count in enumerate(blocks, start=1):
        wide = filters << level
        stages[2 << level] = _csp_stage(net, wide, branch=wide // 2, inner=wide // 2, blocks=count)
    return stages


def _csp_stage(net: NetworkBuilder, filters: int, *, branch: int, inner: int, blocks: int) -> str:
    convolution = partial(net.convolution, activation="mish")
    start = convolution(filters, 3, stride=2)
    bypass = convolution(branch, 1)
    net.go_to(start)
    block_input = convolution(branch, 1)
    for _ in range(blocks):
        convolution(inner, 1)
        convolution(branch, 3)
        block_input = net.shortcut(block_input)
    net.route(convolution(branch, 1), bypass)
    return convolution(filters, 1)


def csp_tiny(net: NetworkBuilder) -> Stages:
    """Adds the backbone of YOLOv4-tiny; only half the channels go through the inner convolutions of a stage."""
    net.convolution(32, 3, stride=2)
    net.convolution(64, 3, stride=2)
    stages = {}
    for stride, filters in ((4, 64), (8, 128), (16, 256)):
        stages[stride] = _tiny_stage(net, filters)
    stages[32] = net.convolution(512, 3)
    return stages


def _tiny_stage(net: NetworkBuilder, filters: int) -> str:
    """Adds a stage and the max-pooling after it; gives the last convolution before the two are joined."""
    start = net.convolution(filters, 3)
    net.second_half()
    first = net.convolution(filters // 2, 3)
    second = net.convolution(filters // 2, 3)
    net.route(second, first)
    merged = net.convolution(filters, 1)
    net.route(start, merged)
    net.maxpool(2, stride=2)
    return merged


def yolov4_head(net: NetworkBuilder, stages: Stages, detector: Detector) -> None:
    """Adds the path up to fine maps, the path down again, and a head after each level on the way down."""
    net.go_to(stages[32])
    coarse = pooling_pyramid(net)
    middle = _join_finer(net, stages[16], 256)
    fine = _join_finer(net, stages[8], 128)

    _yolov4_prediction(net, fine, 8, 256, detector)
    middle = _join_coarser(net, fine, middle, 256)
    _yolov4_prediction(net, middle, 16, 512, detector)
    coarse = _join_coarser(net, middle, coarse, 512)
    _yolov4_prediction(net, coarse, 32, 1024, detector)


def _join_finer(net: NetworkBuilder, stage: str, filters: int) -> str:
    net.convolution(filters, 1)
    enlarged = net.upsample()
    net.go_to(stage)
    net.route(net.convolution(filters, 1), enlarged)
    return _double_bottleneck(net, filters)


def _join_coarser(net: NetworkBuilder, finer: str, coarser: str, filters: int) -> str:
    net.go_to(finer)
    net.route(net.convolution(filters, 3, stride=2), coarser)
    return _double_bottleneck(net, filters)


def _double_bottleneck(net: NetworkBuilder, filters: int) -> str:
    bottleneck(net, filters)
    net.convolution(2 * filters, 3)
    return net.convolution(filters, 1)


def _yolov4_prediction(net: NetworkBuilder, source: str, stride: int, filters: int, detector: Detector) -> None:
    net.go_to(source)
    net.convolution(filters, 3)
    net.head(stride, _MASKS[stride], detector)


def yolov4_csp_head(net: NetworkBuilder, stages: Stages, detector: Detector) -> None:
    """Adds the paths up and down of ``yolov4_head`` with cross-stage blocks, and mish everywhere."""
    _csp_levels(net, stages, detector, filters=128, depth=2)


def yolov4x_mish_head(net: NetworkBuilder, stages: Stages, detector: Detector) -> None:
    """Adds the head of YOLOv4-csp, a quarter wider and with one more bottleneck in each of its blocks."""
    _csp_levels(net, stages, detector, filters=160, depth=3)


def _csp_levels(net: NetworkBuilder, stages: Stages, detector: Detector, *, filters: int, depth: int) -> None:
    """Adds the paths, with ``filters`` at stride 8 and ``depth`` bottlenecks in a block, and three heads."""
    net.go_to(stages[32])
    coarse = _csp_pooling(net, 4 * filters, depth - 1)
    middle = _csp_join_finer(net, stages[16], 2 * filters, depth)
    fine = _csp_join_finer(net, stages[8], filters, depth)

    _csp_prediction(net, fine, 8, 2 * filters, detector)
    middle = _csp_join_coarser(net, fine, middle, 2 * filters, depth)
    _csp_prediction(net, middle, 16, 4 * filters, detector)
    coarse = _csp_join_coarser(net, middle, coarse, 4 * filters, depth)
    _csp_prediction(net, coarse, 32, 8 * filters, detector)


def _csp_pooling(net: NetworkBuilder, filters: int, depth: int) -> str:
    """Adds spatial pyramid pooling, ``depth`` bottlenecks behind it, beside a bypass."""
    convolution = partial(net.convolution, filters, activation="mish")
    start = net.last
    bypass = convolution(1)
    net.go_to(start)
    for size in (1, 3, 1):
        convolution(size)
    pooled_sizes(net)
    for _ in range(depth):
        convolution(1)
        convolution(3)
    net.route(net.last, bypass)
    return convolution(1)


def _csp_block(net: NetworkBuilder, filters: int, depth: int) -> str:
    """Adds bottlenecks without shortcuts beside a bypass."""
    convolution = partial(net.convolution, filters, activation="mish")
    start = convolution(1)
    bypass = convolution(1)
    net.go_to(start)
    for _ in range(depth):
        convolution(1)
        convolution(3)
    net.route(net.last, bypass)
    return convolution(1)


def _csp_join_finer(net: NetworkBuilder, stage: str, filters: int, depth: int) -> str:
    net.convolution(filters, 1, activation="mish")
    enlarged = net.upsample()
    net.go_to(stage)
    net.route(net.convolution(filters, 1, activation="mish"), enlarged)
    return _csp_block(net, filters, depth)


def _csp_join_coarser(net: NetworkBuilder, finer: str, coarser: str, filters: int, depth: int) -> str:
    net.go_to(finer)
    net.route(net.convolution(filters, 3, stride=2, activation="mish"), coarser)
    return _csp_block(net, filters, depth)


def _csp_prediction(net: NetworkBuilder, source: str, stride: int, filters: int, detector: Detector) -> None:
    net.go_to(source)
    net.convolution(filters, 3, activation="mish")
    net.head(stride, _MASKS[stride], detector)


YOLOV4 = Head(
    yolov4_head, YOLOV4_ANCHORS, _YOLO_TRAINING, scale_x_y={8: 1.2, 16: 1.1, 32: 1.05}, net_training=_NET_TRAINING
)
YOLOV4_TINY = Head(
    tiny_head, TINY_ANCHORS, _TINY_YOLO_TRAINING, scale_x_y={16: 1.05, 32: 1.05}, net_training=_TINY_NET_TRAINING
)
YOLOV4_TINY_3L = Head(
    tiny_3l_head,
    YOLOV4_ANCHORS,
    _TINY_YOLO_TRAINING,
    scale_x_y={8: 1.05, 16: 1.05, 32: 1.05},
    net_training=_TINY_NET_TRAINING,
)
YOLOV4_CSP = Head(
    yolov4_csp_head,
    YOLOV4_ANCHORS,
    _CSP_YOLO_TRAINING,
    scale_x_y={8: 2.0, 16: 2.0, 32: 2.0},
    new_coords=True,
    net_training=_NET_TRAINING | {"learning_rate": "0.001", "letter_box": "1"},
)
YOLOV4X_MISH = replace(
    YOLOV4_CSP, build=yolov4x_mish_head, net_training={**YOLOV4_CSP.net_training, "learning_rate": "0.00261"}
)
