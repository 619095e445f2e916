"""Head maps by a network that was written for an FPGA, read back from its folder; without torch."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yoloslim.compress.quantization.shifts import INDEX_SCHEMA, CodeRange, ShiftedKernel, ShiftedNetwork
from yoloslim.compress.quantization.tiles import untiled
from yoloslim.errors import WeightsError
from yoloslim.graph.graph import IMAGE
from yoloslim.graph.ops import Yolo
from yoloslim.runtime.exported import check_batch, check_file
from yoloslim.runtime.integers import IntegerBackend
from yoloslim.weights.description import Description, from_metadata
from yoloslim.weights.files import open_weights
from yoloslim.weights.layout import tensor_shapes

_TYPES = ("int8", "uint8", "int32")


class FpgaFolderBackend:
    """Runs the network of a folder in whole numbers on numpy, from the files that an FPGA reads.

    Args:
        path: the index of the folder.

    Attributes:
        metadata: of the index, text by key.
        input_shape: (channels, height, width).
        outputs: names and shapes of the head maps without the batch.

    Raises:
        WeightsError: the index or a file cannot be read, or is damaged.
        TargetError: a sum may leave 32 bits.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        index = _index(path)
        self.metadata: Mapping[str, str] = index["metadata"]
        description = from_metadata(self.metadata, path)
        self.input_shape: tuple[int, ...] = tuple(description.graph.input_shape)
        self.outputs: Mapping[str, tuple[int, ...]] = description.head_shapes
        try:
            self._run = IntegerBackend(_network(index["layers"], description, path.parent))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise WeightsError(f"{path}: its layers cannot be used ({error!r}); export it again") from error

    def __call__(self, batch: NDArray[np.float32], /) -> Sequence[NDArray[np.float32]]:
        """Gives one head map a head, (B, anchors, h, w, 5 + classes), for a batch (B, C, H, W), RGB in 0..1.

        Raises:
            RecipeError: the pictures are of another size than the network's.
        """
        check_batch(batch, self.input_shape, self._path)
        return self._run(batch)


def _index(path: Path) -> dict[str, Any]:
    check_file(path, "the index of a folder for an FPGA")
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: expected the JSON index of a folder for an FPGA ({error})") from error
    if not isinstance(index, dict) or not {"schema", "metadata", "layers"} <= index.keys():
        raise WeightsError(
            f"{path}: expected an index with schema, metadata and layers; name the index.json of a folder"
        )
    if not isinstance(index["schema"], int) or index["schema"] > INDEX_SCHEMA:
        text = f"written by a later yoloslim: schema {index['schema']}, this one reads up to {INDEX_SCHEMA}"
        raise WeightsError(f"{path}: {text}; upgrade yoloslim")
    return index


def _network(rows: Sequence[Mapping[str, Any]], description: Description, folder: Path) -> ShiftedNetwork:
    ranges = {row["name"]: CodeRange(**row["codes"]) for row in rows if row["codes"]}
    kernels = {row["name"]: _kernel(row, folder) for row in rows if row["kind"] == "convolution"}
    tables = {
        row["name"]: _values(row, "table", folder) for row in rows if "table" in row["files"] and row["name"] != IMAGE
    }
    network = ShiftedNetwork(description.graph, ranges, kernels, tables)
    _check(network, {row["name"] for row in rows})
    return network


def _check(network: ShiftedNetwork, rows: Collection[str]) -> None:
    """Makes sure that there is everything that the heads need, in the shapes that the cfg asks for."""
    shapes = tensor_shapes(network.graph)
    for node in network.graph:
        kernel, table = network.kernels.get(node.name), network.tables.get(node.name)
        missing = [name for name in (node.name, *node.inputs) if name not in rows]
        if missing and (node.name in rows or isinstance(node.op, Yolo)):
            raise ValueError(f"no {missing[0]}")
        if kernel is not None:
            found = kernel.weight.shape, kernel.bias.shape, kernel.shift.shape
            weight = shapes[f"{node.name}.conv.weight"]
            if found != (weight, weight[:1], weight[:1]):
                raise ValueError(f"{node.name} has shapes {found}")
        sums = kernel.sums if kernel is not None else network.ranges.get(node.name)
        if table is not None and (sums is None or len(table) != sums.high - sums.low + 1):
            raise ValueError(f"the table of {node.name} has {len(table)} entries")


def _kernel(row: Mapping[str, Any], folder: Path) -> ShiftedKernel:
    bias, shift = _values(row, "bias", folder), _values(row, "shift", folder)
    weight = untiled(_values(row, "weight", folder), tuple(row["weights"]))
    return ShiftedKernel(weight, bias, shift, CodeRange(**row["sums"]) if row["sums"] else None)


def _values(row: Mapping[str, Any], key: str, folder: Path) -> NDArray[Any]:
    """The numbers in a file of a layer, in the shape that the index gives."""
    about = row["files"][key]
    if about["type"] not in _TYPES:
        raise ValueError(f"{about['file']} has type {about['type']}")
    path, dtype = folder / about["file"], np.dtype(about["type"]).newbyteorder("<")
    with open_weights(path) as file:
        content = file.read()
    expected = int(np.prod(about["shape"])) * dtype.itemsize
    if len(content) != expected:
        raise WeightsError(f"{path}: expected {expected:,} bytes, found {len(content):,}; copy or export it again")
    return np.frombuffer(content, dtype).reshape(about["shape"]).astype(dtype.newbyteorder("="))
