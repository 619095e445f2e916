"""Darknet's ``.weights``: a short header, then the numbers of every layer one after the other (parser.c)."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yoloslim.errors import WeightsError
from yoloslim.files import write_atomically
from yoloslim.graph.graph import Graph
from yoloslim.weights.files import open_weights
from yoloslim.weights.heads import classes_for_floats, first_head_index, with_classes
from yoloslim.weights.layout import Blob, Layer, blobs_of, check_tensors, layers_with_weights
from yoloslim.weights.loaded import CURRENT_HEADER, DarknetWeights, FileContents, Header, fitted_weights

__all__ = ["Blob", "DarknetWeights", "Header", "blobs_of", "read_weights", "write_weights"]

_VERSION = struct.Struct("<iii")
_SEEN_32 = struct.Struct("<I")
_SEEN_64 = struct.Struct("<Q")
_FLOAT = np.dtype("<f4")
_TEXTS = {b"[": "a cfg file", b"#": "a cfg file", b"<": "a web page saved in place of a download"}
_IMAGENET_CLASSES = 1000
_BINARIES = {b"PK": "a PyTorch file", b"\x80": "a PyTorch file"}


def read_weights(path: str | Path, graph: Graph, *, cutoff: int | None = None) -> DarknetWeights:
    """Gives the weights of a Darknet file for a network.

    A file that holds only the first layers (``darknet53.conv.74``) gives those, and so does the file of an ImageNet
    classifier whose backbone these layers are (``darknet53.weights``). A file for another number of classes gives
    everything but the head convolutions. All of that is said in the notes. What a file holds for the tail of a
    classifier's cfg is left alone.

    Args:
        cutoff: read only this many leading layers; what follows them may be anything.

    Raises:
        WeightsError: the file cannot be read, is no Darknet file, or does not fit the network; says where it ends.
    """
    header, start, size = _read_header(path)
    _check_cutoff(graph, cutoff, path)
    layers, classes = _layers_in_file(graph, size, cutoff, path)
    numbers = np.fromfile(path, _FLOAT, sum(layer.floats for layer in layers), offset=start)
    contents = FileContents(_cut_up(numbers, layers), _covered(graph, layers, cutoff), classes, header)
    return fitted_weights(graph, contents, path)


def write_weights(
    path: str | Path,
    graph: Graph,
    tensors: Mapping[str, NDArray[np.floating]],
    *,
    header: Header = CURRENT_HEADER,
    cutoff: int | None = None,
) -> None:
    """Writes the weights of a network as a Darknet file.

    Args:
        tensors: values by name in the state dict.
        header: version and ``seen``; that of the source gives its bytes again.
        cutoff: write only this many leading layers.

    Raises:
        WeightsError: a tensor is missing, unexpected or of another shape.
        OutputError: the file cannot be written.
    """
    _check_cutoff(graph, cutoff, path)
    layers = layers_with_weights(graph)
    written = _below(layers, cutoff)
    beyond = {name for layer in layers if layer not in written for name in layer.shapes}
    found = {name: np.shape(values) for name, values in tensors.items() if name not in beyond}
    expected = {name: shape for layer in written for name, shape in layer.shapes.items()}
    check_tensors(expected, found, path)
    start = _header_bytes(header, path)
    with write_atomically(path) as temporary, temporary.open("wb") as file:
        file.write(start)
        for name in expected:
            file.write(np.ascontiguousarray(tensors[name], _FLOAT).data)


def _read_header(path: str | Path) -> tuple[Header, int, int]:
    """The header, its length in bytes, and the number of bytes after it."""
    with open_weights(path) as file:
        first = file.read(_VERSION.size + _SEEN_64.size)
        size = file.seek(0, 2)
    _check_kind(first, path)
    if len(first) < _VERSION.size:
        raise _too_short(path, size)
    major, minor, revision = _VERSION.unpack_from(first)
    if not (0 <= major < 1000 and 0 <= minor < 1000):
        text = f"expected a Darknet header such as 0.2.5, found {major}.{minor}.{revision}"
        raise WeightsError(f"{path}: {text}; this is no Darknet weights file")
    seen = _seen_form(major, minor)
    start = _VERSION.size + seen.size
    if size < start:
        raise _too_short(path, size)
    return Header(major, minor, revision, seen.unpack_from(first, _VERSION.size)[0]), start, size - start


def _header_bytes(header: Header, path: str | Path) -> bytes:
    try:
        return _VERSION.pack(*header[:3]) + _seen_form(header.major, header.minor).pack(header.seen)
    except struct.error as error:
        raise WeightsError(f"{path}: {header} does not fit a Darknet file: {error}") from error


def _seen_form(major: int, minor: int) -> struct.Struct:
    return _SEEN_64 if major * 10 + minor >= 2 else _SEEN_32


def _too_short(path: str | Path, size: int) -> WeightsError:
    found = f"{size} bytes" if size else "an empty file"
    return WeightsError(
        f"{path}: expected a Darknet header of 16 or 20 bytes, found {found}; download or copy it again"
    )


def _check_kind(first: bytes, path: str | Path) -> None:
    """Names the kind of a file that starts as no Darknet file does: their first bytes are small numbers."""
    kind = next((kind for magic, kind in _BINARIES.items() if first.startswith(magic)), "")
    if first[8:9] == b"{":
        kind = "a safetensors checkpoint"
    if first and b"\0" not in first and first.isascii():
        text = first.decode("ascii").strip().partition("\n")[0].strip()
        kind = f"text that begins with '{text}'"
        if hint := _TEXTS.get(text[:1].encode()):
            kind = f"{kind}: this is {hint}"
    if kind:
        raise WeightsError(f"{path}: expected Darknet weights, found {kind}")


def _check_cutoff(graph: Graph, cutoff: int | None, path: str | Path) -> None:
    if cutoff is not None and not 1 <= cutoff <= len(graph):
        raise WeightsError(f"{path}: cutoff={cutoff}: expected 1 to {len(graph)}, the number of layers of the cfg")


def _layers_in_file(graph: Graph, size: int, cutoff: int | None, path: str | Path) -> tuple[tuple[Layer, ...], int]:
    """The layers to read and the class count of the file, from nothing but its size in bytes."""
    layers = layers_with_weights(graph)
    floats, rest = divmod(size, _FLOAT.itemsize)
    if cutoff is not None and cutoff <= first_head_index(graph):
        wanted = _below(layers, cutoff)
        if floats >= sum(layer.floats for layer in wanted):
            return wanted, graph.classes
    total = sum(layer.floats for layer in layers)
    if rest == 0 and (floats == total or (graph.tail and floats > total)):
        return _below(layers, cutoff), graph.classes
    if rest:
        raise _misfit(layers, floats, rest, path)
    prefix, classes = _prefix(layers, floats), classes_for_floats(graph, floats)
    if prefix and classes:
        text = f"{floats:,} floats are its first {prefix[-1].index + 1} layers, or all layers for {classes} classes"
        raise WeightsError(
            f"{path}: {text}; say which with cutoff={first_head_index(graph)}, or by classes= in the cfg"
        )
    if prefix:
        return _below(prefix, cutoff), graph.classes
    if classes:
        return _below(layers_with_weights(with_classes(graph, classes)), cutoff), classes
    if backbone := _classifier_backbone(layers, floats):
        return _below(backbone, cutoff), graph.classes
    raise _misfit(layers, floats, rest, path)


def _prefix(layers: Sequence[Layer], floats: int) -> tuple[Layer, ...]:
    """The leading layers that hold exactly this many floats; none if the last of them is cut."""
    for count, layer in enumerate(layers):
        if floats < layer.floats:
            return tuple(layers[:count]) if floats == 0 else ()
        floats -= layer.floats
    return ()


def _classifier_backbone(layers: Sequence[Layer], floats: int) -> tuple[Layer, ...]:
    """The leading layers behind which a file has exactly one more: the biases and weights of a classifier's classes."""
    for count, layer in enumerate(layers, start=1):
        floats -= layer.floats
        channels = layer.blobs[0].shape[0]
        if floats == _IMAGENET_CLASSES * (channels + 1):
            return tuple(layers[:count])
    return ()


def _misfit(layers: Sequence[Layer], floats: int, rest: int, path: str | Path) -> WeightsError:
    odd = f" and {rest} byte{'s' * (rest > 1)}" if rest else ""
    left = floats
    for layer in layers:
        if left < layer.floats:
            break
        left -= layer.floats
    else:
        total = sum(layer.floats for layer in layers)
        text = f"the cfg wants {total:,} floats, the file has {floats:,}{odd}"
        reason = "no other number of classes explains it; are cfg and weights of the same network?"
        return WeightsError(f"{path}: {text}: {left:,} floats{odd} are left over and {reason}")
    if not floats and not rest:
        return WeightsError(f"{path}: holds a header and no weights; download or copy it again")
    text = f"ends inside layer {layer.name}: expected {layer.floats:,} floats, found {left:,}{odd}"
    way_out = f"; cutoff={layer.index} loads the layers before it" if layer is not layers[0] else ""
    reason = "it is cut off (download or copy it again) or belongs to another cfg"
    return WeightsError(f"{path}: {text}; {reason}{way_out}")


def _below(layers: Sequence[Layer], cutoff: int | None) -> tuple[Layer, ...]:
    return tuple(layer for layer in layers if cutoff is None or layer.index < cutoff)


def _covered(graph: Graph, read: Sequence[Layer], cutoff: int | None) -> int:
    """How many leading layers were read; layers without weights count only up to the last one with weights."""
    whole = len(graph) if cutoff is None else cutoff
    return whole if len(read) == len(_below(layers_with_weights(graph), cutoff)) else read[-1].index + 1


def _cut_up(numbers: NDArray[np.float32], layers: Sequence[Layer]) -> dict[str, NDArray[np.float32]]:
    tensors, start = {}, 0
    for layer in layers:
        for name, shape in layer.shapes.items():
            end = start + int(np.prod(shape))
            tensors[name] = numbers[start:end].reshape(shape)
            start = end
    return tensors
