"""What a cfg says about the loss, in the terms of this package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from yoloslim.cfg.options import Options
from yoloslim.graph.graph import Graph
from yoloslim.losses.settings import Assignment

_FOCAL = {"class_gamma": 2.0, "focal_alpha": 0.5}  # yolo_layer.c, delta_yolo_class


def cfg_settings(graph: Graph, assignment: Assignment) -> dict[str, Any]:
    """Gives the fields of `LossSettings` that the heads of a cfg set, each as the first head has it that sets it.

    Of Darknet's keys ``iou_loss`` (but for ``mse``, of which there is none here), ``iou_thresh``, ``focal_loss`` and
    ``label_smooth_eps`` are taken over; ``ignore_thresh`` and ``truth_thresh`` with the assignment that they belong to
    in Darknet, ``best``. Its normalizers are not: they weigh sums over a picture, this package's weights means over
    matches. Nothing is taken from ``[region]``.

    Raises:
        CfgError: a value is out of its range.
    """
    found: dict[str, Any] = {}
    for node in reversed([node for node, yolo in graph.heads if not yolo.region]):
        options = Options(node.section)
        for key, read in _READERS.items():
            if options.has(key):
                found |= read(options)
    if assignment != "best":
        found = {name: value for name, value in found.items() if name not in ("ignore_threshold", "truth_threshold")}
    return found


def _iou(options: Options) -> dict[str, Any]:
    kind = options.text("iou_loss")
    return {} if kind == "mse" else {"iou": kind}


_READERS: Mapping[str, Callable[[Options], dict[str, Any]]] = {
    "iou_loss": _iou,
    "iou_thresh": lambda options: {"anchor_threshold": options.number("iou_thresh")},
    "ignore_thresh": lambda options: {"ignore_threshold": options.number("ignore_thresh")},
    "truth_thresh": lambda options: {"truth_threshold": options.number("truth_thresh")},
    "focal_loss": lambda options: _FOCAL if options.flag("focal_loss") else {},
    "label_smooth_eps": lambda options: {"label_smoothing": options.number("label_smooth_eps")},
}
