"""A network in whole numbers as a folder: binary files, a JSON index of them, and a C header."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yoloslim.compress.quantization.shifts import INDEX_SCHEMA, CodeRange, ShiftedNetwork
from yoloslim.compress.quantization.tiles import PLAIN, Tile, tiled
from yoloslim.export.fpga_header import header_of
from yoloslim.export.fpga_ops import to_fpga
from yoloslim.graph.graph import IMAGE, Node
from yoloslim.graph.ops import Shortcut
from yoloslim.graph.shapes import infer_shapes
from yoloslim.weights.description import Description, to_metadata

INDEX = "index.json"
HEADER = "network.h"


@dataclass(frozen=True, slots=True)
class Golden:
    """What a network computes for one picture.

    Attributes:
        pixels: the picture, uint8, shape (C, H, W), RGB or grey.
        maps: the whole numbers of the image and of every node that is computed, shape (C, H, W), by name.
    """

    pixels: NDArray[np.uint8]
    maps: Mapping[str, NDArray[np.int32]]


def write_fpga(
    folder: Path, description: Description, network: ShiftedNetwork, golden: Golden, tile: Tile = PLAIN
) -> None:
    """Writes a network into a folder that is there and empty.

    Args:
        tile: the order of the weights.
    """
    for name in ("layers", "golden"):
        (folder / name).mkdir()
    files = dict(_files(network, golden, tile))
    for name, values in files.items():
        values.astype(values.dtype.newbyteorder("<")).tofile(folder / name)
    rows = list(_rows(network, golden.maps.keys(), tile))
    for row in rows:
        row["files"] = {key: _about(name, files[name]) for key, name in _named(row["name"]).items() if name in files}
    index = {"schema": INDEX_SCHEMA, "metadata": to_metadata(description), "layers": rows}
    (folder / INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    (folder / HEADER).write_text(header_of(rows), encoding="ascii")


def _named(name: str) -> dict[str, str]:
    """The files that a layer may have, by what is in them."""
    own = {key: f"layers/{name}.{key}.bin" for key in ("weight", "bias", "shift", "table", "pixels")}
    return {**own, "golden": f"golden/{name}.bin"}


def _files(network: ShiftedNetwork, golden: Golden, tile: Tile) -> Iterator[tuple[str, NDArray[Any]]]:
    image, heads = _named(IMAGE), {node.name for node, _ in network.graph.heads}
    yield image["table"], network.pixel_codes
    yield image["pixels"], golden.pixels
    for name, kernel in network.kernels.items():
        named = _named(name)
        yield named["weight"], tiled(kernel.weight, tile.within(kernel.weight.shape))
        yield named["bias"], kernel.bias
        yield named["shift"], kernel.shift
    for name, table in network.tables.items():
        yield _named(name)["table"], table
    for name, found in golden.maps.items():
        if name not in heads:
            yield _named(name)["golden"], found.astype(_dtype(network, name))


def _dtype(network: ShiftedNetwork, name: str) -> np.dtype[Any]:
    """The type of a map: of one byte for codes, of four for sums."""
    codes = network.ranges.get(name)
    return np.dtype(np.int32) if codes is None else codes.dtype


def _about(name: str, values: NDArray[Any]) -> dict[str, Any]:
    return {"file": name, "type": values.dtype.name, "shape": list(values.shape)}


def _rows(network: ShiftedNetwork, computed: Collection[str], tile: Tile) -> Iterator[dict[str, Any]]:
    shapes = infer_shapes(network.graph)
    image = network.ranges[IMAGE]
    yield {"name": IMAGE, "kind": "image", "inputs": [], "shape": list(shapes[IMAGE]), "codes": _codes(image)}
    for node in network.graph:
        if node.name not in computed:
            continue
        codes = network.ranges.get(node.name)
        row: dict[str, Any] = {"name": node.name, **to_fpga(node.op), "inputs": list(node.inputs)}
        row |= {"shape": list(shapes[node.name]), "codes": _codes(codes) if codes else None}
        yield row | _more(network, node, tile)


def _codes(codes: CodeRange) -> dict[str, Any]:
    return {"exponent": codes.exponent, "low": codes.low, "high": codes.high, "rounding": codes.rounding}


def _more(network: ShiftedNetwork, node: Node, tile: Tile) -> dict[str, Any]:
    """What a row needs besides its op: how sums become codes, tiles, and how inputs are aligned."""
    kernel = network.kernels.get(node.name)
    if kernel is not None:
        sums = _codes(kernel.sums) if kernel.sums else None
        shape = kernel.weight.shape
        return {"sums": sums, "weights": list(shape), "tile": list(tile.within(shape))}
    if isinstance(node.op, Shortcut):
        exponents = [network.ranges[name].exponent for name in node.inputs]
        least = min(exponents)
        halvings = network.ranges[node.name].exponent - least
        return {"sums": _codes(network.ranges[node.name]), "lifts": [e - least for e in exponents], "shift": halvings}
    return {}
