"""What an exported file says about its network, so that it needs no other: text by key, as a checkpoint's metadata.

``cfg`` is the cfg itself, every other value JSON; keys that are not known here are passed over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from yoloslim import __version__
from yoloslim.boxes.placement import ResizeMode
from yoloslim.errors import WeightsError
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.shapes import infer_shapes
from yoloslim.graph.to_cfg import to_cfg

SCHEMA = 1
"""Version of the metadata; a file with a higher one is refused."""

PRODUCER = "yoloslim"


@dataclass(frozen=True, slots=True)
class Description:
    """A network without its weights, and how to use it.

    Attributes:
        graph: at the size that it runs at.
        names: name of each class; empty if unknown.
        resize: how pictures are brought to size.
    """

    graph: Graph
    names: tuple[str, ...] = ()
    resize: ResizeMode = "stretch"

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the pictures that it reads, pixels."""
        return self.graph.input_shape.width, self.graph.input_shape.height

    @property
    def head_shapes(self) -> dict[str, tuple[int, int, int, int]]:
        """Shape of each head map without the batch, (anchors, h, w, values of a box), by the name of its node."""
        shapes = infer_shapes(self.graph)
        return {
            node.name: (len(yolo.mask), shapes[node.name].height, shapes[node.name].width, yolo.values)
            for node, yolo in self.graph.heads
        }


def to_metadata(description: Description) -> dict[str, str]:
    """Gives the metadata of a file."""
    values = {
        "schema": SCHEMA,
        "names": description.names,
        "resize": description.resize,
        "size": description.size,
        "producer": PRODUCER,
        "version": __version__,
    }
    return {"cfg": to_cfg(description.graph), **{key: json.dumps(value) for key, value in values.items()}}


def from_metadata(metadata: Mapping[str, str], where: object) -> Description:
    """Gives what the metadata of a file say.

    Args:
        where: the file, for messages.

    Raises:
        WeightsError: they are not ours, or of a later version, or damaged.
        CfgError: the cfg cannot be honoured.
    """
    if "cfg" not in metadata or "schema" not in metadata:
        text = "its metadata have no schema and cfg, so its heads are unknown"
        raise WeightsError(f"{where}: {text}; only files that yoloslim wrote can be read")
    schema = _value(metadata, "schema", where)
    if not isinstance(schema, int) or schema > SCHEMA:
        text = f"written by a later yoloslim: schema {schema}, this one reads up to {SCHEMA}"
        raise WeightsError(f"{where}: {text}; upgrade yoloslim")
    graph = parse_cfg(metadata["cfg"], path=str(where))
    names, resize = (_value(metadata, key, where) for key in ("names", "resize"))
    if resize not in ("letterbox", "stretch") or not _is_names(names, graph.classes):
        raise WeightsError(f"{where}: its names or resize cannot be used: {str(names)[:40]}, {resize}; export it again")
    return Description(graph, tuple(names), cast(ResizeMode, resize))


def _value(metadata: Mapping[str, str], key: str, where: object) -> Any:
    try:
        return json.loads(metadata[key])
    except (KeyError, json.JSONDecodeError) as error:
        raise WeightsError(f"{where}: its {key} is missing or not JSON; export it again") from error


def _is_names(value: object, classes: int) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value) and len(value) in (0, classes)
