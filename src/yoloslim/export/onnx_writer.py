"""ONNX nodes and constants as plain data: what the pass over ops writes, before the onnx package sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yoloslim.graph.ops import Shape

Attribute = int | float | str | tuple[int, ...]


class Value(NamedTuple):
    """A tensor of the ONNX graph: its name there, and its shape without the batch."""

    name: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """One node of an ONNX graph, with one output.

    Attributes:
        kind: the operator, for instance ``Conv``.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Attribute]


class NodeWriter:
    """Collects the ONNX nodes that one node of a network becomes.

    Args:
        name: of the node; everything that is written is named after it.
        tensors: of the whole network, by name in the state dict.
        owner: name of the node whose tensors it uses, where that is another one.

    Attributes:
        name: of the node.
        nodes: in the order of computation.
        constants: by name; int64 or float32. Equal names of two writers hold equal values.
    """

    def __init__(self, name: str, tensors: Mapping[str, NDArray[np.float32]], owner: str = "") -> None:
        self.name = name
        self._tensors = tensors
        self._owner = owner or name
        self.nodes: list[OnnxNode] = []
        self.constants: dict[str, NDArray[Any]] = {}

    def tensor(self, key: str) -> NDArray[np.float64]:
        """Gives a tensor of the node, in float64."""
        return self._tensors[f"{self._owner}.{key}"].astype(np.float64)

    def weights(self, key: str, values: NDArray[np.float64]) -> str:
        """Adds a constant of this node, as float32, and gives its name; nodes with the same tensors share it."""
        return self.constant(f"{self._owner}.{key}", values.astype(np.float32))

    def kernel(self, weight: NDArray[np.float64], bias: NDArray[np.float64]) -> tuple[str, str]:
        """Adds weight and bias of a convolution and gives their names."""
        return self.weights("weight", weight), self.weights("bias", bias)

    def sums(self, x: str) -> str:
        """Gives what the activation of a convolution reads, of its sums."""
        return x

    def output(self, x: str) -> str:
        """Gives what other nodes read, of what this one computed."""
        return x

    def number(self, value: float) -> str:
        """Adds a scalar and gives its name."""
        return self.constant(f"float/{value!r}", np.array(value, np.float32))

    def integers(self, *values: int) -> str:
        """Adds a list of integers, such as axes or a shape, and gives its name."""
        return self.constant(f"int64/{'_'.join(map(str, values))}", np.array(values, np.int64))

    def factors(self, *values: float) -> str:
        """Adds a list of floats, such as the scales of an enlargement, and gives its name."""
        return self.constant(f"floats/{'_'.join(map(repr, values))}", np.array(values, np.float32))

    def add(self, kind: str, *inputs: str, **attributes: Attribute) -> str:
        """Adds an operator and gives the name of its output."""
        earlier = sum(node.kind == kind for node in self.nodes)
        name = f"{self.name}/{kind}{f'_{earlier + 1}' if earlier else ''}"
        self.nodes.append(OnnxNode(kind, name, inputs, name, attributes))
        return name

    def finish(self, result: str) -> str:
        """Names the last operator's output after the node, where there is one, and gives the name of the result.

        Args:
            result: output of the last operator; or an input, for a node that does nothing.
        """
        if not self.nodes:
            return result
        assert self.nodes[-1].output == result, f"{self.name}: {result} is not what was written last"
        self.nodes[-1] = replace(self.nodes[-1], output=self.name)
        return self.name

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """Adds a constant and gives its name, under which equal ones are one."""
        assert name not in self.constants or np.array_equal(self.constants[name], values), f"{name} has two values"
        self.constants[name] = values
        return name
