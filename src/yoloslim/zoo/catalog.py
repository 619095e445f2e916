"""Networks by name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from yoloslim.errors import RecipeError
from yoloslim.graph.graph import Graph
from yoloslim.zoo.anchors import Anchors
from yoloslim.zoo.data_sets import DATA_SETS, OWN, DataSet
from yoloslim.zoo.yolov3 import yolov3, yolov3_tiny
from yoloslim.zoo.yolov4 import yolov4, yolov4_tiny


class NetworkFunction(Protocol):
    """Gives a network; what is left out is as it was published."""

    def __call__(
        self,
        classes: int = ...,
        size: tuple[int, int] = ...,
        anchors: Sequence[tuple[float, float]] | None = ...,
        width: float = ...,
    ) -> Graph:
        """Gives the network."""


_NETWORKS: Mapping[str, NetworkFunction] = {
    "yolov3": yolov3,
    "yolov3-tiny": yolov3_tiny,
    "yolov4": yolov4,
    "yolov4-tiny": yolov4_tiny,
}


def networks() -> Mapping[str, NetworkFunction]:
    """Gives the function that makes each known network, by name."""
    return _NETWORKS


def find(
    name: str,
    classes: int | None = None,
    anchors: Sequence[tuple[float, float]] | None = None,
    size: tuple[int, int] | None = None,
    width: float = 1.0,
) -> Graph:
    """Gives the network called ``name``: ``yolov3-tiny``, or ``yolov3-tiny-hand`` for a known data set.

    Args:
        classes: number of classes; the data set's, else 80, unless given.
        anchors: (width, height) pairs in pixels; the data set's, else COCO's, unless given.
        size: (width, height) of the input in pixels; the published one unless given.
        width: factor on the filters of every convolution but the heads'.

    Raises:
        RecipeError: no network or data set has that name, or an argument is out of range.
    """
    network, data_set = _parts(name)
    if data_set is not None:
        classes = len(data_set.names) if classes is None else classes
        anchors = _anchors_for(network, data_set, name) if anchors is None else anchors
    chosen: dict[str, Any] = {"classes": classes, "anchors": anchors, "size": size, "width": width}
    return _NETWORKS[network](**{key: value for key, value in chosen.items() if value is not None})


def _parts(name: str) -> tuple[str, DataSet | None]:
    if name in _NETWORKS:
        return name, None
    network, _, set_name = name.rpartition("-")
    if network in _NETWORKS and set_name in DATA_SETS:
        return network, DATA_SETS[set_name]
    known = [*_NETWORKS, *(f"{network}-{set_name}" for network in _NETWORKS for set_name in DATA_SETS)]
    near = difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(_NETWORKS)}"
    raise RecipeError(f"'{name}' is no network, nor a network and a data set such as yolov3-tiny-hand; {hint}")


def _anchors_for(network: str, data_set: DataSet, name: str) -> Anchors | None:
    count = len(_NETWORKS[network]().heads[0][1].anchors)
    if count not in data_set.anchors:
        found = ", ".join(map(str, data_set.anchors))
        raise RecipeError(f"{name}: {network} needs {count} anchors, this data set has sets of {found}; give anchors")
    known = data_set.anchors[count]
    return None if known == OWN else known
