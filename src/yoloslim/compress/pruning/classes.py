"""Classes dropped from the heads: rows of the convolutions that feed them, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from yoloslim.errors import PlanError
from yoloslim.graph.graph import Graph
from yoloslim.graph.ops import Yolo
from yoloslim.nn.network import Network, load_tensors
from yoloslim.weights.heads import head_convolutions, with_classes


def parse_classes(text: str, classes: int) -> tuple[int, ...]:
    """Gives the class ids of ``keep=1,5,7``, in the order in which the smaller network has them.

    Args:
        classes: of the network.

    Raises:
        PlanError: the text has another form, or names a class twice or one that is not there, or
            leaves all as they are.
    """
    word, _, numbers = text.partition("=")
    parts = numbers.split(",")
    if word != "keep" or not all(part.strip().isdecimal() for part in parts):
        raise PlanError(f"classes {text}: expected keep=ID,ID,... such as keep=0,2")
    kept = tuple(int(part) for part in parts)
    if len(set(kept)) < len(kept) or max(kept) >= classes:
        raise PlanError(f"classes {text}: expected each id once, from 0 to {classes - 1}")
    if kept == tuple(range(classes)):
        raise PlanError(f"classes {text}: all {classes} classes are kept as they are; leave some out")
    return kept


def keep_classes(network: Network, classes: Sequence[int]) -> Network:
    """Gives a copy whose heads predict only these classes, which become 0, 1, ...; what it says of them is unchanged.

    Where class scores are a softmax (YOLOv2), they are shares among the classes that are left.

    Raises:
        PlanError: the rows of a head cannot be removed; says why.
    """
    kept = head_channels(network.graph, classes)
    small = Network(with_classes(network.graph, len(classes)))
    state = network.state_dict()
    small.to(next((tensor.dtype for tensor in state.values()), torch.float32))
    rows = {name: torch.from_numpy(kept[name.partition(".")[0]]) for name in state if name.partition(".")[0] in kept}
    load_tensors(small, {name: tensor[rows[name]] if name in rows else tensor for name, tensor in state.items()})
    return small.train(network.training)


def head_channels(graph: Graph, classes: Sequence[int]) -> Mapping[str, NDArray[np.int64]]:
    """Gives the channels that stay of every convolution before a head, by its node.

    Raises:
        PlanError: the rows of a head cannot be removed; says why.
    """
    convolutions = head_convolutions(graph)
    if not convolutions:
        raise PlanError("classes can be dropped only where every head reads a convolution that nothing else reads")
    if any(yolo.class_score == "tree" for yolo in convolutions.values()):
        raise PlanError("classes of a tree (YOLO9000) depend on each other: none can be dropped")
    return {name: _rows(yolo, classes) for name, yolo in convolutions.items()}


def _rows(yolo: Yolo, classes: Sequence[int]) -> NDArray[np.int64]:
    of_one = np.array([*range(5), *(5 + index for index in classes)], dtype=np.int64)
    return (np.arange(len(yolo.mask))[:, None] * (5 + yolo.classes) + of_one).ravel()
