"""Known traps of published cfg files, and of those that Darknet does not read."""

from __future__ import annotations

from yoloslim.cfg.schema import NOT_DARKNETS
from yoloslim.graph.graph import Graph
from yoloslim.graph.ops import Convolution, Depthwise, SqueezeExcite

_TINY_ANCHORS = ((10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319))


def mask_advice(graph: Graph) -> tuple[str, ...]:
    """Gives a warning where a cfg has the masks of the published yolov3-tiny.cfg, whose weights use others.

    The published file says ``mask=0,1,2`` in its second ``[yolo]``; the published weights behave as trained with
    ``1,2,3``. Networks trained from that cfg on other classes are right as they are.
    """
    heads = graph.heads
    masks = [yolo.mask for _, yolo in heads]
    if masks != [(3, 4, 5), (0, 1, 2)] or any(y.classes != 80 or y.anchors != _TINY_ANCHORS for _, y in heads):
        return ()
    section = heads[1][0].section
    option = section.find("mask")
    line = option.line if option else section.line
    place = f"{graph.path}:{line}" if graph.path and line else "second [yolo]"
    text = "mask=0,1,2 is a mistake of the published yolov3-tiny.cfg; its COCO weights were trained with mask=1,2,3"
    return (f"{place}: {text}: change this line, or boxes of the second head come out at the wrong size",)


def foreign_sections(graph: Graph) -> dict[str, int]:
    """Gives how often a network has each section that only the originals know, ``[depthwise]`` and ``[se]``."""
    kinds = {"[depthwise]": Depthwise, "[se]": SqueezeExcite}
    counts = {name: sum(isinstance(node.op, kind) for node in graph) for name, kind in kinds.items()}
    return {name: count for name, count in counts.items() if count}


def darknet_advice(graph: Graph) -> tuple[str, ...]:
    """Gives what Darknet does not read of a network, and what can be done."""
    told = []
    if foreign := foreign_sections(graph):
        listed = " and ".join(f"{count} {name}" for name, count in foreign.items())
        instead = "groups=, and [avgpool], 1x1 convolutions and [scale_channels]"
        told.append(f"Darknet does not know {listed}; export --out NAME.cfg writes {instead} instead")
    if any(isinstance(node.op, Convolution | Depthwise) and node.op.activation in NOT_DARKNETS for node in graph):
        told.append("Darknet does not know activation=h_swish, and export refuses it: put swish there before training")
    return tuple(told)
