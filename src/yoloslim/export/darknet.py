"""A network in Darknet's own layers: what the originals added is replaced by layers that compute the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from yoloslim.cfg.schema import NOT_DARKNETS
from yoloslim.errors import TargetError
from yoloslim.graph.graph import Graph, Node, node_name
from yoloslim.graph.ops import AvgPool, Convolution, Depthwise, Op, ScaleChannels, SqueezeExcite
from yoloslim.graph.shapes import infer_shapes
from yoloslim.graph.to_cfg import section_of

Tensors = Mapping[str, NDArray[np.float32]]


def darknet_form(graph: Graph, tensors: Tensors) -> tuple[Graph, dict[str, NDArray[np.float32]]]:
    """Gives the network and its tensors without ``[depthwise]`` and ``[se]``.

    ``[depthwise]`` becomes a convolution with ``groups=``. ``[se]`` becomes ``[avgpool]``, convolutions and
    ``[scale_channels]``; its hard sigmoid, relu6(x + 3) / 6, a convolution with relu6 and one that divides by 6.

    Args:
        tensors: by ``<node>.<key>``, float32.

    Raises:
        TargetError: an activation is none of Darknet's; names the layers.
    """
    _check_activations(graph)
    shapes = infer_shapes(graph)
    nodes: list[Node] = []
    found: dict[str, NDArray[np.float32]] = {}
    names = {"image": "image"}
    for node in graph:
        inputs = [names[name] for name in node.inputs]
        own = {key.removeprefix(f"{node.name}."): value for key, value in tensors.items() if _is_of(key, node)}
        if isinstance(node.op, SqueezeExcite):
            _add_squeeze_excite(nodes, found, inputs[0], shapes[node.name].channels, own)
        else:
            _add(nodes, found, _plain(node, len(nodes), inputs, names.get(node.weights_of, "")), own)
        names[node.name] = nodes[-1].name
    return replace(graph, nodes=tuple(nodes)), found


def _check_activations(graph: Graph) -> None:
    strange = [node.name for node in graph if getattr(node.op, "activation", "") in NOT_DARKNETS]
    if strange:
        more = f" and {len(strange) - 3} more" if len(strange) > 3 else ""
        places = ", ".join(strange[:3]) + more
        raise TargetError(f"activation=h_swish in {places} is none of Darknet's; put swish there and fine-tune")


def _is_of(key: str, node: Node) -> bool:
    return key.startswith(f"{node.name}.")


def _plain(node: Node, index: int, inputs: Sequence[str], weights_of: str) -> Node:
    """The node in its new place, a depthwise section as a grouped convolution."""
    if isinstance(node.op, Depthwise):
        return _made("convolutional", node.op.as_convolution(), index, inputs)
    kind = node.name.split("_", 1)[1]
    return Node(node_name(index, kind), node.op, tuple(inputs), node.section, weights_of)


def _made(kind: str, op: Op, index: int, inputs: Sequence[str], references: Sequence[int] = ()) -> Node:
    return Node(node_name(index, kind), op, tuple(inputs), section_of(kind, op, references, {}))


def _add(nodes: list[Node], found: dict[str, NDArray[np.float32]], node: Node, own: Tensors) -> None:
    nodes.append(node)
    found.update({f"{node.name}.{key}": value for key, value in own.items()})


def _add_squeeze_excite(
    nodes: list[Node], found: dict[str, NDArray[np.float32]], features: str, channels: int, own: Tensors
) -> None:
    for kind, op, tensors in _gate(channels, own):
        _add(nodes, found, _made(kind, op, len(nodes), [nodes[-1].name]), tensors)
    index = len(nodes)
    back = next(place for place, node in enumerate(nodes) if node.name == features) - index
    _add(nodes, found, _made("scale_channels", ScaleChannels(), index, [nodes[-1].name, features], [back]), {})


def _gate(channels: int, own: Tensors) -> Iterator[tuple[str, Op, Tensors]]:
    """The layers that compute a scale for each channel, shape (C, 1, 1), with their tensors."""
    squeeze, excite = own["squeeze.weight"], own["excite.weight"]
    yield "avgpool", AvgPool(), {}
    hidden = {"conv.weight": squeeze, "conv.bias": np.zeros(len(squeeze), np.float32)}
    yield "convolutional", Convolution(len(squeeze), activation="relu"), hidden
    shifted = {"conv.weight": excite, "conv.bias": np.full(channels, 3, np.float32)}
    yield "convolutional", Convolution(channels, activation="relu6"), shifted
    sixth = {
        "conv.weight": np.full((channels, 1, 1, 1), 1 / 6, np.float32),
        "conv.bias": np.zeros(channels, np.float32),
    }
    yield "convolutional", Convolution(channels, groups=channels, activation="linear"), sixth
