"""From files to a network that runs: the one place that makes one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from yoloslim.boxes.placement import ResizeMode
from yoloslim.cfg.options import Options
from yoloslim.compress.quantization.network import QuantizedNetwork, check_calibrated
from yoloslim.compress.quantization.plan import from_metadata, to_metadata
from yoloslim.errors import WeightsError
from yoloslim.graph.advice import mask_advice
from yoloslim.graph.graph import Graph
from yoloslim.nn.network import Network, load_tensors
from yoloslim.weights.checkpoint import Checkpoint, load_checkpoint
from yoloslim.weights.darknet import Header, read_weights
from yoloslim.weights.files import open_weights
from yoloslim.weights.heads import with_classes
from yoloslim.weights.layout import check_tensors, tensor_shapes
from yoloslim.weights.legacy import read_legacy
from yoloslim.weights.loaded import CURRENT_HEADER, DarknetWeights, FileContents, fitted_weights

LEGACY_SUFFIXES = (".pt", ".pth")
CHECKPOINT_SUFFIX = ".safetensors"
HEADER_KEY = "darknet_header"
"""Under it a checkpoint's provenance keeps the header of the Darknet file that it came from."""


@dataclass(frozen=True, slots=True)
class Model:
    """A network with what belongs to it.

    Attributes:
        network: in evaluation mode, on the CPU.
        names: class names; empty where the files do not tell.
        resize: how pictures were fitted in training, as far as the files tell.
        header: of the Darknet file it came from.
        notes: what the user should know about how it was loaded, one sentence each.
        missing: nodes whose weights no file gave.
        origin: where its channels came from, if it was pruned (see ``pruning.origin``).
        provenance: where it comes from, as far as a checkpoint tells: plain values for JSON.
    """

    network: Network
    names: tuple[str, ...] = ()
    resize: ResizeMode = "stretch"
    header: Header = CURRENT_HEADER
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    origin: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def graph(self) -> Graph:
        """The network's graph."""
        return self.network.graph

    @property
    def quantization(self) -> Mapping[str, Any]:
        """How the network is quantized, as plain values for JSON; empty for a float one."""
        return to_metadata(self.network.plan) if isinstance(self.network, QuantizedNetwork) else {}


def load(path: Path, graph: Graph | None, *, cutoff: int | None = None, bn_eps: float = 1e-5) -> Model:
    """Gives the model of a checkpoint (.safetensors), a Darknet file, or a legacy .pt.

    Args:
        graph: the network; a checkpoint brings its own, and one given beside it must have the same tensors.
        cutoff: read only this many leading layers of a Darknet file.
        bn_eps: batch-norm epsilon that a legacy .pt was trained with.

    Raises:
        WeightsError: the file is damaged or does not fit, or a cfg is needed and missing.
    """
    if path.suffix == CHECKPOINT_SUFFIX:
        return _from_checkpoint(path, graph)
    if graph is None:
        with open_weights(path):
            raise WeightsError(f"{path}: only a .safetensors brings its own network; add --cfg")
    if path.suffix in LEGACY_SUFFIXES:
        return _from_weights(read_legacy(path, graph, bn_eps=bn_eps), graph)
    return _from_weights(read_weights(path, graph, cutoff=cutoff), graph)


def resize_of(graph: Graph) -> ResizeMode:
    """Gives how the cfg wants pictures fitted: ``letterbox`` for ``letter_box=1`` in ``[net]``, else ``stretch``."""
    return "letterbox" if Options(graph.section).flag("letter_box") else "stretch"


def _from_weights(weights: DarknetWeights, graph: Graph) -> Model:
    network = Network(graph)
    load_tensors(network, weights.tensors)
    notes = (*weights.notes, *mask_advice(graph))
    return Model(network.eval(), (), resize_of(graph), weights.header, notes, weights.missing)


def _from_checkpoint(path: Path, graph: Graph | None) -> Model:
    checkpoint = load_checkpoint(path)
    if graph is not None and graph.classes != checkpoint.graph.classes:
        return _from_other_classes(checkpoint, graph, path)
    network = _network(checkpoint, graph or checkpoint.graph, path)
    resize = cast(ResizeMode, checkpoint.resize) if checkpoint.resize else resize_of(network.graph)
    header = _header(checkpoint.provenance, path)
    pruned, known = checkpoint.origin, checkpoint.provenance
    return Model(network.eval(), checkpoint.names, resize, header, origin=pruned, provenance=known)


def _network(checkpoint: Checkpoint, graph: Graph, path: Path) -> Network:
    """The network of a checkpoint, with its rounding where it has one."""
    found = {name: tuple(tensor.shape) for name, tensor in checkpoint.tensors.items()}
    if not checkpoint.quantization:
        check_tensors(tensor_shapes(graph), found, path)
        network = Network(graph)
    else:
        network = QuantizedNetwork(graph, from_metadata(checkpoint.quantization, graph, path))
        check_tensors({name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}, found, path)
    load_tensors(network, checkpoint.tensors)
    if isinstance(network, QuantizedNetwork):
        check_calibrated(network, path)
    return network


def _from_other_classes(checkpoint: Checkpoint, graph: Graph, path: Path) -> Model:
    """All layers but the heads, which start from their initial values."""
    if tensor_shapes(with_classes(graph, checkpoint.graph.classes)) != tensor_shapes(checkpoint.graph):
        raise WeightsError(f"{path}: its network is another than the cfg's; leave --cfg out")
    known = tensor_shapes(checkpoint.graph)
    tensors = {name: tensor.float().numpy() for name, tensor in checkpoint.tensors.items() if name in known}
    contents = FileContents(tensors, len(graph), checkpoint.graph.classes, _header(checkpoint.provenance, path))
    model = _from_weights(fitted_weights(graph, contents, path), graph)
    return replace(model, provenance=checkpoint.provenance)


def _header(provenance: Mapping[str, Any], path: Path) -> Header:
    numbers = provenance.get(HEADER_KEY, list(CURRENT_HEADER))
    if isinstance(numbers, list) and len(numbers) == len(Header._fields) and all(type(n) is int for n in numbers):
        return Header(*numbers)
    raise WeightsError(f"{path}: its {HEADER_KEY} cannot be used: {str(numbers)[:60]}")


def require_float(model: Model, what: str) -> None:
    """Makes sure that a model is not quantized.

    Raises:
        WeightsError: it is.
    """
    if model.quantization:
        raise WeightsError(
            f"{what} takes a float network, found one that is quantized: give the weights it was made of"
        )


def with_network(model: Model, network: Network) -> Model:
    """Gives the model with another network in its place."""
    return replace(model, network=network)
