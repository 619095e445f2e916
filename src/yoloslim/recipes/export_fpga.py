"""Export for an FPGA as one workflow: every map compared bit for bit, the folder written, and run from its files."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from yoloslim.compress.quantization.network import QuantizedNetwork
from yoloslim.compress.quantization.shifts import ShiftedNetwork
from yoloslim.compress.quantization.tiles import PLAIN, Tile
from yoloslim.compress.quantization.to_shifts import TARGET, shifted
from yoloslim.errors import TargetError
from yoloslim.export.fpga import INDEX, Golden, write_fpga
from yoloslim.files import write_folder_atomically
from yoloslim.graph.graph import IMAGE
from yoloslim.graph.ops import Yolo
from yoloslim.recipes.export import Batch, Parity, ParityFailed
from yoloslim.recipes.layer_parity import LayerParity, golden_maps
from yoloslim.runtime.artefact import open_artefact
from yoloslim.runtime.integers import IntegerBackend, head_values, integer_maps
from yoloslim.runtime.load import Model
from yoloslim.weights.description import Description


def export_fpga(model: Model, folder: Path, batches: Sequence[Batch], tile: Tile = PLAIN) -> Parity:
    """Writes a quantized model into a new folder, and gives how far it is from torch: not at all.

    Args:
        batches: what both compute, shape (B, C, H, W), RGB or grey in 0..1; the first picture of the last one is the
            golden one.
        tile: the order of the weights.

    Raises:
        ParityFailed: a number differs from that of the network in torch, run in float64; nothing is written.
        TargetError: the model is not quantized for an FPGA, or cannot be written in whole numbers.
        OutputError: the folder is there and not empty, or cannot be written.
    """
    whole = whole_numbers(model)
    for batch in batches:
        _check_maps(model.network, whole, batch, folder)
    pixels = np.rint(batches[-1][0] * 255).astype(np.uint8)
    picture = (pixels / np.float32(255))[None]
    maps = {name: found[0] for name, found in integer_maps(whole, whole.image_codes(picture))}
    description = Description(model.graph, model.names, model.resize)
    with write_folder_atomically(folder) as temporary:
        write_fpga(temporary, description, whole, Golden(pixels, maps), tile)
        _check_folder(temporary, whole, picture, folder)
    return Parity(0.0, 0.0, LayerParity(len(whole.kernels), 0, 1.0, "", 0, 0.0))


def whole_numbers(model: Model) -> ShiftedNetwork:
    """Gives a model in whole numbers alone.

    Raises:
        TargetError: it is not quantized for an FPGA, or cannot be computed so.
    """
    if not isinstance(model.network, QuantizedNetwork):
        found = "this one is in float"
        raise TargetError(f"integers alone need a network made for {TARGET}, {found}: yoloslim quantize --for {TARGET}")
    return shifted(model.network)


def _check_maps(network: torch.nn.Module, whole: ShiftedNetwork, batch: Batch, where: Path) -> None:
    """Makes sure that every map has the values of the network that rounds."""
    assert isinstance(network, QuantizedNetwork)
    expected = golden_maps(copy.deepcopy(network).double(), torch.from_numpy(batch).double())
    for name, found in integer_maps(whole, whole.image_codes(batch)):
        wanted = expected.pop(name)
        unequal = int((_values(whole, name, found) != wanted).sum()) if _has_values(whole, name) else 0
        if unequal:
            raise ParityFailed(f"{where}: not written: {unequal} of {wanted.size} values of {name} differ from torch's")


def _has_values(whole: ShiftedNetwork, name: str) -> bool:
    """Whether it is known what a map's numbers stand for; of sums before a head, the head knows."""
    return name in whole.ranges or isinstance(whole.graph[name].op, Yolo)


def _values(whole: ShiftedNetwork, name: str, found: NDArray[np.int32]) -> NDArray[np.float64]:
    if name == IMAGE or not isinstance(whole.graph[name].op, Yolo):
        return np.ldexp(found.astype(np.float64), whole.ranges[name].exponent)
    return head_values(whole, name, found)


def _check_folder(written: Path, whole: ShiftedNetwork, picture: Batch, where: Path) -> None:
    """Makes sure that the files give what they were written from."""
    found = open_artefact(written / INDEX).backend(picture)
    expected = IntegerBackend(whole)(picture)
    if not all(np.array_equal(ours, theirs) for ours, theirs in zip(found, expected, strict=True)):
        raise ParityFailed(f"{where}: not written: read back, its files give other head maps")
