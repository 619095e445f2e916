"""Export as one workflow: written, run by its own runtime, and kept only where it gives what torch gives."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from yoloslim.errors import YoloslimError
from yoloslim.export.darknet import darknet_form
from yoloslim.export.onnx import export_onnx
from yoloslim.export.openvino import WeightBits, save_openvino
from yoloslim.files import write_atomically
from yoloslim.nn.network import Network, load_tensors
from yoloslim.runtime.artefact import open_artefact
from yoloslim.runtime.detector import Backend
from yoloslim.runtime.load import Model, with_network
from yoloslim.runtime.openvino_backend import read_network
from yoloslim.runtime.save import write_cfg, write_darknet_weights
from yoloslim.runtime.torch_backend import TorchBackend
from yoloslim.weights.description import Description

MAX_REL_DIFF = 1e-4
"""Largest difference of an exported network's head maps from torch's, relative to the largest value of each."""

MAX_ROUNDED_REL_DIFF = 2e-2
"""The same where weights are rounded to 16 bits: some 5e-4 of each, which deep networks add up."""

Batches = Iterable[NDArray[np.float32]]


class ParityFailed(YoloslimError):
    """An exported network that does not compute what torch computes; its file is not kept."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How far two backends are apart.

    Attributes:
        max_abs_diff: largest difference of two head map values.
        max_rel_diff: the same, relative to the largest value of the head map; nan where a value is not finite.
    """

    max_abs_diff: float
    max_rel_diff: float


def export(model: Model, path: Path, batches: Batches) -> Parity:
    """Writes a model as an ONNX file and gives how far it is from torch.

    Args:
        batches: what both compute, shape (B, C, H, W), RGB in 0..1; at least one.

    Raises:
        ParityFailed: they differ by more than ``MAX_REL_DIFF``; an earlier file of that name is untouched.
        TargetError: the network cannot be written.
        BackendMissing: onnx or onnxruntime is not installed.
    """
    with write_atomically(path) as temporary:
        _write_onnx(model, temporary)
        found = parity(open_artefact(temporary).backend, TorchBackend(model.network, torch.device("cpu")), batches)
        _check_parity(found, MAX_REL_DIFF, path)
    return found


def export_openvino(model: Model, path: Path, batches: Batches, *, weight_bits: WeightBits = 32) -> Parity:
    """Writes a model as OpenVINO's .xml and .bin, made from its ONNX form; else as ``export``.

    Args:
        weight_bits: of the floats in the .bin; those of 16 may differ by ``MAX_ROUNDED_REL_DIFF``.

    Raises:
        BackendMissing: onnx or openvino is not installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        onnx_file, draft = Path(folder) / "network.onnx", Path(folder) / "network.xml"
        _write_onnx(model, onnx_file)
        network = read_network(onnx_file)
        save_openvino(network, draft, weight_bits=weight_bits)
        found = parity(open_artefact(draft).backend, TorchBackend(model.network, torch.device("cpu")), batches)
        _check_parity(found, MAX_REL_DIFF if weight_bits == 32 else MAX_ROUNDED_REL_DIFF, path)
        save_openvino(network, path, weight_bits=weight_bits)
    return found


def _write_onnx(model: Model, path: Path) -> None:
    tensors = {name: tensor.float().cpu().numpy() for name, tensor in model.network.state_dict().items()}
    export_onnx(path, Description(model.graph, model.names, model.resize), tensors)


def _check_parity(found: Parity, allowed: float, path: Path) -> None:
    if not found.max_rel_diff <= allowed:  # nan is no parity either
        text = f"differ from torch's by {found.max_rel_diff:.1e} of their largest value, allowed is {allowed:g}"
        raise ParityFailed(f"{path}: not written: its head maps {text}; are the weights finite?")


def export_darknet(model: Model, path: Path, batches: Batches) -> Parity:
    """Writes a model as a ``.cfg`` in Darknet's own layers, with its ``.weights`` beside it; else as ``export``.

    Raises:
        ParityFailed: they differ by more than ``MAX_REL_DIFF``; nothing is written.
        TargetError: a layer has no equivalent in Darknet.
    """
    tensors = {name: tensor.float().cpu().numpy() for name, tensor in model.network.state_dict().items()}
    graph, own = darknet_form(model.graph, tensors)
    network = Network(graph).eval()
    load_tensors(network, own)
    device = torch.device("cpu")
    found = parity(TorchBackend(network, device), TorchBackend(model.network, device), batches)
    _check_parity(found, MAX_REL_DIFF, path)
    written = with_network(model, network)
    write_darknet_weights(written, path.with_suffix(".weights"))
    write_cfg(written, path)
    return found


def parity(found: Backend, expected: Backend, batches: Batches) -> Parity:
    """Gives how far a backend's head maps are from those that are expected, at worst over heads and batches."""
    pairs = [(ours, theirs) for batch in batches for ours, theirs in zip(found(batch), expected(batch), strict=True)]
    absolute = [float(np.abs(ours - theirs).max()) for ours, theirs in pairs]
    largest = [float(np.abs(theirs).max()) for _, theirs in pairs]
    relative = [difference / (limit or 1.0) for difference, limit in zip(absolute, largest, strict=True)]
    return Parity(float(np.max(absolute)), float(np.max(relative)))  # numpy's max keeps a nan


def random_batch(shape: tuple[int, int, int], seed: int, count: int = 2) -> NDArray[np.float32]:
    """Gives ``count`` pictures of noise of that shape (C, H, W), 0..1."""
    return np.random.default_rng(seed).random((count, *shape), dtype=np.float32)
