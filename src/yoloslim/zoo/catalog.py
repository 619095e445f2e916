"""Networks by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from yoloslim.errors import RecipeError
from yoloslim.graph.from_cfg import read_cfg
from yoloslim.graph.graph import Graph
from yoloslim.zoo.anchors import Anchors, checked_anchors
from yoloslim.zoo.builder import Detector, Head, NetworkBuilder, Stages
from yoloslim.zoo.data_sets import DATA_SETS, OWN, DataSet
from yoloslim.zoo.efficientnet import efficientnet_b0
from yoloslim.zoo.ghostnet import ghostnet
from yoloslim.zoo.mobilenetv3 import mobilenetv3_large, mobilenetv3_small
from yoloslim.zoo.yolo_fastest import YOLO_FASTEST, fastest, fastest_xl
from yoloslim.zoo.yolov2 import YOLOV2, YOLOV2_TINY, darknet19
from yoloslim.zoo.yolov3 import YOLOV3, YOLOV3_SPP, YOLOV3_TINY, YOLOV3_TINY_3L, darknet53, darknet_tiny
from yoloslim.zoo.yolov4 import (
    YOLOV4,
    YOLOV4_CSP,
    YOLOV4_TINY,
    YOLOV4_TINY_3L,
    YOLOV4X_MISH,
    csp_darknet53,
    csp_darknet53_scaled,
    csp_darknet53_wide,
    csp_tiny,
)
from yoloslim.zoo.yolov7 import YOLOV7_TINY, elan_tiny

BACKBONES: Mapping[str, Callable[[NetworkBuilder], Stages]] = {
    "darknet19": darknet19,
    "darknet53": darknet53,
    "darknet-tiny": darknet_tiny,
    "csp-darknet53": csp_darknet53,
    "csp-darknet53-scaled": csp_darknet53_scaled,
    "csp-darknet53-wide": csp_darknet53_wide,
    "csp-tiny": csp_tiny,
    "elan-tiny": elan_tiny,
    "fastest": fastest,
    "fastest-xl": fastest_xl,
    "mobilenetv3-large": mobilenetv3_large,
    "mobilenetv3-small": mobilenetv3_small,
    "ghostnet": ghostnet,
    "efficientnet-b0": efficientnet_b0,
}
"""What a network sees with."""

HEADS: Mapping[str, Head] = {
    "yolov2": YOLOV2,
    "yolov2-tiny": YOLOV2_TINY,
    "yolov3": YOLOV3,
    "yolov3-spp": YOLOV3_SPP,
    "yolov3-tiny": YOLOV3_TINY,
    "yolov3-tiny-3l": YOLOV3_TINY_3L,
    "yolov4": YOLOV4,
    "yolov4-csp": YOLOV4_CSP,
    "yolov4x-mish": YOLOV4X_MISH,
    "yolov4-tiny": YOLOV4_TINY,
    "yolov4-tiny-3l": YOLOV4_TINY_3L,
    "yolov7-tiny": YOLOV7_TINY,
    "yolo-fastest": YOLO_FASTEST,
}
"""What a network predicts with, on any backbone."""


@dataclass(frozen=True, slots=True)
class Design:
    """A network as it was published.

    Attributes:
        size: of the input, pixels a side.
    """

    backbone: str
    head: str
    size: int = 416

    def graph(
        self, classes: int, anchors: Sequence[tuple[float, float]] | None, size: tuple[int, int] | None, width: float
    ) -> Graph:
        """Gives the network.

        Raises:
            RecipeError: an argument is out of range.
        """
        head = HEADS[self.head]
        given = head.anchors if anchors is None else anchors
        checked = checked_anchors(given, len(head.anchors), f"the head {self.head}")
        net = NetworkBuilder(size or (self.size, self.size), width)
        detector = Detector(classes, checked, head.training, head.scale_x_y, head.new_coords, head.region)
        head.build(net, BACKBONES[self.backbone](net), detector)
        return net.finish(head.net_training)


_NETWORKS: Mapping[str, Design] = {
    "yolov2": Design("darknet19", "yolov2", 608),
    "yolov2-tiny": Design("darknet-tiny", "yolov2-tiny"),
    "yolov3": Design("darknet53", "yolov3", 608),
    "yolov3-spp": Design("darknet53", "yolov3-spp", 608),
    "yolov3-tiny": Design("darknet-tiny", "yolov3-tiny"),
    "yolov3-tiny-3l": Design("darknet-tiny", "yolov3-tiny-3l", 608),
    "yolov4": Design("csp-darknet53", "yolov4", 608),
    "yolov4-csp": Design("csp-darknet53-scaled", "yolov4-csp", 512),
    "yolov4x-mish": Design("csp-darknet53-wide", "yolov4x-mish", 640),
    "yolov4-tiny": Design("csp-tiny", "yolov4-tiny"),
    "yolov4-tiny-3l": Design("csp-tiny", "yolov4-tiny-3l", 608),
    "yolov7-tiny": Design("elan-tiny", "yolov7-tiny"),
    "yolo-fastest-1.1": Design("fastest", "yolo-fastest", 320),
    "yolo-fastest-1.1-xl": Design("fastest-xl", "yolo-fastest", 320),
    "yolov3-mobilenetv3": Design("mobilenetv3-large", "yolov3"),
    "yolov3tiny-mobilenetv3-small": Design("mobilenetv3-small", "yolov3-tiny"),
    "yolov3tiny-ghostnet": Design("ghostnet", "yolov3-tiny"),
    "yolov3tiny-efficientnet-b0": Design("efficientnet-b0", "yolov3-tiny"),
}


def networks() -> tuple[str, ...]:
    """Gives the names of the known networks."""
    return tuple(_NETWORKS)


def find(
    name: str,
    classes: int | None = None,
    anchors: Sequence[tuple[float, float]] | None = None,
    size: tuple[int, int] | None = None,
    width: float = 1.0,
) -> Graph:
    """Gives the network called ``name``: ``yolov3-tiny``, ``BACKBONE+HEAD``, or either with ``-SET``, a known data set.

    Args:
        classes: number of classes; the data set's, else 80, unless given.
        anchors: (width, height) pairs in pixels; the data set's, else COCO's, unless given.
        size: (width, height) of the input in pixels; the published one unless given.
        width: factor on the filters of every convolution but the heads'.

    Raises:
        RecipeError: no network or data set has that name, or an argument is out of range.
    """
    design, data_set = _parts(name)
    if data_set is not None:
        classes = len(data_set.names) if classes is None else classes
        anchors = _anchors_for(design, data_set, name) if anchors is None else anchors
    return design.graph(80 if classes is None else classes, anchors, size, width)


def read_or_find(name: str) -> Graph:
    """Gives the network of a cfg file, or of a zoo name.

    Raises:
        CfgError: there is no such file, or it cannot be honoured.
        RecipeError: no network has that name.
    """
    path = Path(name)
    if path.exists() or path.suffix == ".cfg" or len(path.parts) > 1:
        return read_cfg(path)
    return find(name)


def _parts(name: str) -> tuple[Design, DataSet | None]:
    if (design := _design(name)) is not None:
        return design, None
    network, _, set_name = name.rpartition("-")
    if (design := _design(network)) is not None and set_name in DATA_SETS:
        return design, DATA_SETS[set_name]
    raise RecipeError(_unknown(name))


def _design(name: str) -> Design | None:
    backbone, plus, head = name.partition("+")
    if plus and backbone in BACKBONES and head in HEADS:
        return Design(backbone, head)
    return _NETWORKS.get(name)


def _unknown(name: str) -> str:
    """Says what is wrong with a name, with the nearest names or the known ones."""
    backbone, plus, head = name.partition("+")
    if plus and backbone not in BACKBONES:
        return f"'{backbone}' is no backbone; known: {', '.join(BACKBONES)}"
    if plus:
        return f"'{head}' is no head, nor a head and a data set; known: {', '.join(HEADS)}"
    known = [*_NETWORKS, *(f"{network}-{set_name}" for network in _NETWORKS for set_name in DATA_SETS)]
    near = difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(_NETWORKS)}"
    return f"'{name}' is no network, nor a network and a data set such as yolov3-tiny-hand; {hint}"


def _anchors_for(design: Design, data_set: DataSet, name: str) -> Anchors | None:
    count = len(HEADS[design.head].anchors)
    if count not in data_set.anchors:
        found = ", ".join(map(str, data_set.anchors))
        raise RecipeError(
            f"{name}: {design.head} needs {count} anchors, this data set has sets of {found}; give anchors"
        )
    known = data_set.anchors[count]
    return None if known == OWN else known
