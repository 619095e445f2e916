"""The originals' ``.pt``: PyTorch pickles of ultralytics' YOLOv3 of 2020 and its descendants, read without trust.

Layers are ``module_list.<index>.<module>.<tensor>``, numbered as the sections of the cfg. Only tensors and numpy's
plain numbers are unpickled; whatever else a pickle asks for is refused.
"""

from __future__ import annotations

import pickle
import re
import struct
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yoloslim.errors import WeightsError
from yoloslim.graph.graph import Graph
from yoloslim.weights.files import open_weights
from yoloslim.weights.heads import classes_for_filters, with_classes
from yoloslim.weights.layout import Layer, check_tensors, layers_with_weights, some
from yoloslim.weights.loaded import DarknetWeights, FileContents, fitted_weights

_DARKNET_EPS = 1e-6
_KEY = re.compile(r"(?:module\.)*module_list\.(\d+)\.(.+)")
_IGNORED = ("num_batches_tracked", "total_ops", "total_params")  # batch-norm's counter; thop's counts
_QUANTIZER = "_quantizer."
_NORM_NAMES = {
    "weight": "norm.weight",
    "bias": "norm.bias",
    "gamma": "norm.weight",
    "beta": "norm.bias",
    "running_mean": "norm.running_mean",
    "running_var": "norm.running_var",
}
_BROKEN = (EOFError, OSError, struct.error, RuntimeError, LookupError, ValueError, TypeError, AttributeError)


def read_legacy(path: str | Path, graph: Graph, *, bn_eps: float = 1e-5) -> DarknetWeights:
    """Gives the weights of an originals' checkpoint, or of a bare state dict, for a network.

    Where the file holds a moving average (``ema``), that is read. As with Darknet files, leading layers alone are
    enough, and heads of another class count are left out; both are said in the notes.

    Args:
        bn_eps: epsilon of the batch-norms that the weights were trained with; the difference from Darknet's 1e-6 is
            added to the running variances, which gives the same numbers.

    Raises:
        WeightsError: the file is no such checkpoint, wants to run code, or does not fit the network.
    """
    state = _state_dict(_unpickled(path), path)
    found = _by_layer(state, path)
    layers = _named(layers_with_weights(graph), found)
    filters = {
        name.partition(".")[0]: v.shape[0] for name, v in layers.items() if name.endswith("conv.weight") and v.ndim
    }
    classes = classes_for_filters(graph, filters)
    covered = max(found) + 1
    file_graph = with_classes(graph, classes) if classes else graph
    in_file = [layer for layer in layers_with_weights(file_graph) if layer.index < covered]
    expected = {name: shape for layer in in_file for name, shape in layer.shapes.items()}
    check_tensors(expected, {name: values.shape for name, values in layers.items()}, path)
    if len(in_file) == len(layers_with_weights(graph)):
        covered = len(graph)
    weights = fitted_weights(graph, FileContents(_darknet_variances(layers, bn_eps), covered, file_graph.classes), path)
    return replace(weights, notes=(*weights.notes, *_quantizer_notes(state)))


def _unpickled(path: str | Path) -> Any:
    """What the pickle holds: tensors, plain containers, and numpy's numbers."""
    with open_weights(path, "a PyTorch checkpoint") as file:
        first = file.read(2)
    if not first.startswith((b"PK", b"\x80")):
        raise WeightsError(f"{path}: expected a PyTorch checkpoint, found something else: copy it again")
    try:
        with torch.serialization.safe_globals(_allowed_globals()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of other pickle protocols and then reads or refuses them
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refusal(path, str(error)) from error
    except (*_BROKEN, AssertionError) as error:
        raise WeightsError(f"{path}: this PyTorch file is damaged or cut off; download or copy it again") from error


def _allowed_globals() -> list[Any]:
    """Numpy's reconstruction of scalars, types and arrays, under the names of numpy 1 and 2."""
    scalar, array = np.float64(0).__reduce__()[0], np.zeros(0).__reduce__()[0]
    types = {type(np.dtype(code)) for code in "?bBhHiIlLqQefd"}
    functions = [
        (function, f"numpy.{core}.multiarray.{name}")
        for core in ("core", "_core")
        for function, name in ((scalar, "scalar"), (array, "_reconstruct"))
    ]
    return [*functions, np.dtype, np.ndarray, *types]


def _refusal(path: str | Path, problem: str) -> WeightsError:
    wanted = re.search(r"GLOBAL ([\w.]+)", problem)
    if not wanted:
        text = "this PyTorch file is damaged, or holds something else than tensors and plain numbers"
        return WeightsError(f"{path}: {text}; copy it again, or save a state_dict()")
    text = f"holds more than tensors: it asks to run {wanted[1]} when it is opened, which is never done here"
    return WeightsError(f"{path}: {text}; where you trust it, save its state_dict() alone")


def _state_dict(content: Any, path: str | Path) -> dict[str, Tensor]:
    """The tensors by name: of the moving average, of the model, or of the file itself."""
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path}: expected a dict of tensors, found {type(content).__name__}")
    parts = (content.get(key) for key in ("ema", "model", "state_dict"))
    inner = next((part for part in parts if isinstance(part, Mapping) and part), content)
    return {name: value for name, value in inner.items() if isinstance(name, str) and isinstance(value, Tensor)}


def _by_layer(state: Mapping[str, Tensor], path: str | Path) -> dict[int, dict[str, Tensor]]:
    """The tensors of every layer, by their names within it."""
    found: dict[int, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        match = _KEY.fullmatch(name)
        if match and match[2].rpartition(".")[2] not in _IGNORED and _QUANTIZER not in name:
            found.setdefault(int(match[1]), {})[match[2]] = tensor
    if not found:
        names = some(list(state)) or "no tensors"
        raise WeightsError(f"{path}: expected tensors such as module_list.0.Conv2d.weight, found {names}")
    return found


def _named(layers: Iterable[Layer], found: Mapping[int, Mapping[str, Tensor]]) -> dict[str, NDArray[np.float32]]:
    """The tensors by our names; those of layers that have none in the cfg keep theirs, to be refused by it."""
    by_index = {layer.index: layer for layer in layers}
    named: dict[str, NDArray[np.float32]] = {}
    for index, tensors in found.items():
        for name, tensor in _roles(by_index.get(index), index, tensors).items():
            named[name] = tensor.to(torch.float32).numpy(force=True).copy()
    return named


def _roles(layer: Layer | None, index: int, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    if layer is None:
        return {f"module_list.{index}.{key}": tensor for key, tensor in tensors.items()}
    if layer.blobs[0].key == "squeeze.weight":
        return _dense_roles(layer, tensors)
    return {f"{layer.name}.{_role(key)}": tensor for key, tensor in tensors.items()}


def _role(key: str) -> str:
    """Our name of a convolution's tensor: ``Conv2d.weight`` gives ``conv.weight``."""
    module, _, tensor = key.rpartition(".")
    is_norm = "norm" in module.lower() or tensor not in ("weight", "bias")
    return _NORM_NAMES.get(tensor, key) if is_norm else f"conv.{tensor}"


def _dense_roles(layer: Layer, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``[se]``: its dense layers have numbers for names; the first one squeezes, the second excites."""
    keys = list(tensors)
    names = [blob.key for blob in layer.blobs] + keys[len(layer.blobs) :]
    shaped = (t[:, :, None, None] if t.ndim == 2 else t for t in tensors.values())
    return {f"{layer.name}.{name}": tensor for name, tensor in zip(names, shaped, strict=False)}


def _quantizer_notes(state: Iterable[str]) -> list[str]:
    count = sum(_QUANTIZER in name for name in state)
    text = f"{count} tensors of quantizers are left out: the weights are loaded as the floats that they were trained as"
    return [text] if count else []


def _darknet_variances(tensors: Mapping[str, NDArray[np.float32]], eps: float) -> dict[str, NDArray[np.float32]]:
    more = np.float32(eps - _DARKNET_EPS)
    return {name: v + more if name.endswith(".running_var") else v for name, v in tensors.items()}
