"""What a file of weights gave for a network: the tensors that fit, and what the user should know about the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yoloslim.errors import WeightsError
from yoloslim.graph.graph import Graph
from yoloslim.weights.layout import layers_with_weights, some


class Header(NamedTuple):
    """First numbers of a Darknet file; from version 0.2 on ``seen`` has 64 bits, before it 32.

    Attributes:
        seen: number of pictures that the network was trained on.
    """

    major: int = 0
    minor: int = 2
    revision: int = 5
    seen: int = 0


CURRENT_HEADER = Header()
"""What Darknet writes today, for a network that has seen no picture."""


@dataclass(frozen=True, slots=True)
class DarknetWeights:
    """Weights in Darknet's terms: float32, batch-norm epsilon 1e-6, layer by layer.

    Attributes:
        tensors: values by name in the state dict; a layer has all of its tensors here or none.
        covered: how many leading layers of the network the file holds, layers without weights counted.
        missing: nodes with weights that are not in ``tensors``: they keep their initial values.
        notes: what the user should know, one sentence each.
        header: version and number of pictures seen; the default where the format has none.
    """

    tensors: Mapping[str, NDArray[np.float32]]
    covered: int
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    header: Header = CURRENT_HEADER


@dataclass(frozen=True, slots=True)
class FileContents:
    """What a file of weights holds, before it is compared with the network's own heads.

    Attributes:
        tensors: values by name in the state dict, whole layers.
        covered: how many leading layers they are.
        classes: number of classes of the file's heads.
    """

    tensors: Mapping[str, NDArray[np.float32]]
    covered: int
    classes: int
    header: Header = CURRENT_HEADER


def fitted_weights(graph: Graph, contents: FileContents, where: object) -> DarknetWeights:
    """Gives what fits a network: heads of another class count are left out, by name.

    Args:
        where: the file, for messages.

    Raises:
        WeightsError: a variance is negative: these numbers are not what the cfg takes them for.
    """
    tensors = contents.tensors
    _check_variances(tensors, where)
    layers = layers_with_weights(graph)
    read = [layer for layer in layers if all(name in tensors for name in layer.shapes)]
    kept = [layer for layer in read if all(tensors[name].shape == shape for name, shape in layer.shapes.items())]
    fitting = {name: tensors[name] for layer in kept for name in layer.shapes}
    heads = [layer.name for layer in read if layer not in kept]
    notes = [_class_note(heads, contents.classes, graph)] if heads else []
    if len(read) < len(layers):
        notes.append(_prefix_note(contents.covered, len(graph), len(layers) - len(read)))
    missing = tuple(layer.name for layer in layers if layer not in kept)
    return DarknetWeights(fitting, contents.covered, missing, (*notes, *_finite_notes(fitting)), contents.header)


def _check_variances(tensors: Mapping[str, NDArray[np.float32]], where: object) -> None:
    for name, values in tensors.items():
        if name.endswith(".running_var") and (values < 0).any():
            text = f"{name} has {int((values < 0).sum())} negative numbers, but a variance has none"
            raise WeightsError(f"{where}: {text}; are cfg and weights of the same network?")


def _class_note(heads: list[str], classes: int, graph: Graph) -> str:
    text = f"the class count is {classes} in the weights and {graph.classes} in the cfg"
    return f"{text}: all layers are loaded but {', '.join(heads)}, which start from their initial values"


def _prefix_note(covered: int, count: int, left: int) -> str:
    text = f"weights for layers 0 to {covered - 1} of {count} are loaded"
    return f"{text}; the other {left} layers with weights start from their initial values"


def _finite_notes(tensors: Mapping[str, NDArray[np.float32]]) -> list[str]:
    names = [name for name, values in tensors.items() if not np.isfinite(values).all()]
    if not names:
        return []
    return [f"{some(names)} {'has' if len(names) == 1 else 'have'} numbers that are not finite; did training diverge?"]
