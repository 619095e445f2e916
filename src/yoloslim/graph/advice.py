"""Known traps of published cfg files."""

from __future__ import annotations

from yoloslim.graph.graph import Graph

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
