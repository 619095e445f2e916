"""The network that a training starts from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from yoloslim.graph.graph import Graph
from yoloslim.graph.shapes import infer_shapes
from yoloslim.nn.network import Network
from yoloslim.runtime.load import Model, load
from yoloslim.weights.heads import head_convolutions, with_classes
from yoloslim.weights.published import weights_file

_OBJECTS_A_PICTURE = 8.0
"""Objects expected in a picture of 640 pixels, for the bias of fresh heads (Lin et al., Focal Loss, 2017)."""


def starting_model(graph: Graph, weights: str, names: tuple[str, ...], seed: int) -> Model:
    """Gives a model of the graph for the classes ``names``, from a file of weights where one is given.

    Heads of another class count, and heads of fresh networks, start with biases that expect few objects.

    Args:
        graph: the network; its class count is replaced by that of ``names``.
        weights: a file for any class count, or the name of published weights; empty for fresh weights.
        seed: of fresh weights.

    Raises:
        WeightsError: the weights do not fit the network.
        DownloadError: published weights cannot be fetched, or must be trusted first.
    """
    fitted = graph if graph.classes == len(names) else with_classes(graph, len(names))
    torch.manual_seed(seed)
    model = load(weights_file(weights), fitted) if weights else Model(Network(fitted))
    heads = tuple(head_convolutions(fitted))
    prepare_heads(model.network, tuple(name for name in heads if name in model.missing) if weights else heads)
    return replace(model, names=names, notes=(*_class_notes(graph, names), *model.notes))


def _class_notes(graph: Graph, names: Sequence[str]) -> list[str]:
    if graph.classes == len(names):
        return []
    shown = ", ".join(names[:4]) + (" ..." if len(names) > 4 else "")
    return [f"the cfg has {graph.classes} classes, the data {len(names)} ({shown}): the network is made for the data's"]


def prepare_heads(network: Network, fresh: tuple[str, ...]) -> None:
    """Sets the biases of fresh head convolutions, in place, so that training does not begin with drowning in boxes."""
    shapes = infer_shapes(network.graph)
    yolos = head_convolutions(network.graph)
    for name in fresh:
        conv = network.get_submodule(name).get_submodule("conv")
        cells = shapes[name].height * shapes[name].width
        share = 640**2 / (network.graph.input_shape.width * network.graph.input_shape.height)
        yolo = yolos[name]
        with torch.no_grad():
            bias = conv.bias.view(len(yolo.mask), -1)  # type: ignore[operator]
            bias[:, yolo.objectness] = math.log(_OBJECTS_A_PICTURE / (cells * share))
            bias[:, yolo.objectness + 1 :] = math.log(0.6 / max(yolo.classes - 0.99, 1.0))
