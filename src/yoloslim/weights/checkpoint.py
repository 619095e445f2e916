"""A network in one file that needs no other: safetensors whose metadata hold the cfg and how to use it.

Tensors are ``model/<name>`` and ``ema/<name>``. They are torch tensors, because numpy knows no bfloat16, and keep their
type. Metadata are text: ``cfg`` is the cfg itself, every other value JSON; keys not known here are kept as they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from yoloslim.errors import WeightsError
from yoloslim.files import write_atomically
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.to_cfg import to_cfg
from yoloslim.weights.files import open_weights
from yoloslim.weights.layout import check_tensors, tensor_shapes

SCHEMA = 1
"""Version of the metadata; a file with a higher one is refused."""

_MODEL = "model/"
_EMA = "ema/"
_MAX_HEADER_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A network and what is known about it.

    Attributes:
        tensors: values by name in the state dict. They fit the graph one for one; with ``quantization`` set there may
            be others, and only those that the graph knows are compared with it.
        ema: the same for the moving average of the weights; empty if there is none.
        names: name of each class; empty if unknown.
        resize: how pictures are brought to size, ``letterbox`` or ``stretch``; empty if unknown.
        size: width and height of the pictures that it was trained for, pixels; None for those of the cfg.
        quantization: how it was quantized; empty for a float network.
        origin: which channels of which network these are; empty if it was not pruned.
        provenance: recipe, seed, versions, and the like.
        extra: metadata of other programs or later versions, as text.
    """

    graph: Graph
    tensors: Mapping[str, Tensor]
    ema: Mapping[str, Tensor] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    resize: str = ""
    size: tuple[int, int] | None = None
    quantization: Mapping[str, Any] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, str] = field(default_factory=dict)


_KNOWN = tuple(f.name for f in fields(Checkpoint) if f.name not in ("graph", "tensors", "ema", "extra"))


def save_checkpoint(path: str | Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint; the file of that name, if there is one, stays whole until the new one is.

    Raises:
        WeightsError: its tensors or names do not fit its graph.
        OutputError: the file cannot be written.
    """
    metadata = _metadata(checkpoint)
    _parsed(metadata, path)
    _check(checkpoint, path)
    parts = ((_MODEL, checkpoint.tensors), (_EMA, checkpoint.ema))
    tensors = {prefix + name: _own(tensor) for prefix, part in parts for name, tensor in part.items()}
    with write_atomically(path) as temporary:
        try:
            save_file(tensors, temporary, metadata)
        except SafetensorError as error:
            raise WeightsError(f"{path}: cannot write this file: {error}") from error


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Gives the checkpoint in a file; tensors other than the model's and its average are left in it.

    Raises:
        WeightsError: the file is no checkpoint, is damaged or of a later version, or its tensors do not fit its cfg.
        CfgError: its cfg cannot be honoured.
    """
    _check_container(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            _check_schema(metadata, path)
            found = {name: file.get_tensor(name) for name in file.keys() if name.startswith((_MODEL, _EMA))}  # noqa: SIM118
    except SafetensorError as error:
        raise WeightsError(f"{path}: this safetensors file is damaged ({error}); copy it again") from error
    graph = parse_cfg(metadata.pop("cfg"), path=str(path))
    checkpoint = Checkpoint(graph, _part(found, _MODEL), _part(found, _EMA), **_parsed(metadata, path))
    _check(checkpoint, path)
    return checkpoint


def _own(tensor: Tensor) -> Tensor:
    """A copy with memory of its own: safetensors refuses tensors that share theirs, as views of one file do."""
    return tensor.detach().to("cpu").clone(memory_format=torch.contiguous_format)


def _part(found: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in found.items() if name.startswith(prefix)}


def _metadata(checkpoint: Checkpoint) -> dict[str, str]:
    values = {key: getattr(checkpoint, key) for key in _KNOWN}
    known = {key: json.dumps(value) for key, value in values.items() if value}
    return {**checkpoint.extra, "schema": json.dumps(SCHEMA), "cfg": to_cfg(checkpoint.graph), **known}


def _parsed(metadata: Mapping[str, str], path: str | Path) -> dict[str, Any]:
    """The fields of a checkpoint that metadata hold, each of the kind that it must be."""
    values = {key: _json(metadata, key, path) for key in _KNOWN if key in metadata}
    for key, value in values.items():
        if not _IS_VALID[key](value):
            raise WeightsError(f"{path}: its {key} cannot be used: {metadata[key][:60]}")
        values[key] = tuple(value) if isinstance(value, list) else value
    return {**values, "extra": {k: v for k, v in metadata.items() if k not in (*_KNOWN, "schema", "cfg")}}


def _json(metadata: Mapping[str, str], key: str, path: str | Path) -> Any:
    try:
        return json.loads(metadata[key])
    except json.JSONDecodeError as error:
        raise WeightsError(f"{path}: its {key} is not JSON: {metadata[key][:60]}") from error


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_size(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(side) is int and side > 0 for side in value)


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


_IS_VALID = {
    "names": _is_names,
    "resize": lambda value: value in ("letterbox", "stretch"),
    "size": _is_size,
    "quantization": _is_table,
    "origin": _is_table,
    "provenance": _is_table,
}


def _check(checkpoint: Checkpoint, path: str | Path) -> None:
    """Refuses what could not be used: tensors that do not fit the graph, or more or fewer names than classes."""
    expected = tensor_shapes(checkpoint.graph)
    for part, where in ((checkpoint.tensors, f"{path}"), (checkpoint.ema, f"{path}: {_EMA}")):
        if part or part is checkpoint.tensors:
            found = {name: tuple(tensor.shape) for name, tensor in part.items()}
            check_tensors(expected, found, where, exact=not checkpoint.quantization)
    classes, names = checkpoint.graph.classes, len(checkpoint.names)
    if names and classes and names != classes:
        raise WeightsError(f"{path}: {names} class names for a cfg of {classes} classes; they must be as many")


def is_quantized_checkpoint(path: Path) -> bool:
    """Whether a file is a checkpoint that says how it was quantized; its tensors are not read.

    Raises:
        WeightsError: the file is no checkpoint, or is cut off.
    """
    if path.suffix != ".safetensors":
        return False
    _check_container(path)
    with safe_open(path, framework="pt") as file:
        return "quantization" in (file.metadata() or {})


def _check_schema(metadata: Mapping[str, str], path: str | Path) -> None:
    if "schema" not in metadata or "cfg" not in metadata:
        text = "a safetensors file, but no checkpoint: its metadata have no schema and cfg"
        raise WeightsError(f"{path}: {text}; only yoloslim's own can be read")
    schema = _json(metadata, "schema", path)
    if not isinstance(schema, int) or schema > SCHEMA:
        text = f"written by a later yoloslim: schema {schema}, this one reads up to {SCHEMA}"
        raise WeightsError(f"{path}: {text}; upgrade yoloslim")


def _check_container(path: str | Path) -> None:
    """Tells a file that is cut off, or of another kind, by its header: safetensors' own errors say neither."""
    with open_weights(path, "a checkpoint") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(min(length, _MAX_HEADER_BYTES))
        size = file.seek(0, 2)
    if not header.startswith(b"{"):
        raise WeightsError(f"{path}: expected a safetensors checkpoint, found something else: copy it again")
    needed = 8 + length + (_data_bytes(header, path) if len(header) == length else 0)
    if size < needed:
        raise WeightsError(f"{path}: cut off: expected {needed:,} bytes, found {size:,}; download or copy it again")


def _data_bytes(header: bytes, path: str | Path) -> int:
    try:
        entries = json.loads(header)
        return max((entry["data_offsets"][1] for name, entry in entries.items() if name != "__metadata__"), default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise WeightsError(f"{path}: the header of this safetensors file is damaged; copy it again") from error
