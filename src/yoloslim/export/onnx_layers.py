"""The convolutions of a quantized network one by one, in one ONNX file: each reads an input of its own."""

from __future__ import annotations

from typing import Any

from yoloslim.compress.quantization.integers import Integers
from yoloslim.export.onnx import Tensors, plain_model
from yoloslim.export.onnx_ops import to_onnx
from yoloslim.export.onnx_quantized import QuantizedWriter
from yoloslim.export.onnx_writer import OnnxNode, Value
from yoloslim.graph.graph import Graph
from yoloslim.graph.ops import Shape
from yoloslim.graph.shapes import infer_shapes

READS = "/reads"
"""Behind a node's name: what it reads; the name itself is that of what it gives."""


def layers_model(graph: Graph, tensors: Tensors, integers: Integers) -> Any:
    """Gives the ONNX model of every convolution on integers by itself.

    Raises:
        BackendMissing: the onnx package is not installed.
        TargetError: ONNX has not the codes of one.
    """
    shapes = infer_shapes(graph)
    nodes: list[OnnxNode] = []
    constants: dict[str, Any] = {}
    inputs: dict[str, Shape] = {}
    outputs: dict[str, Shape] = {}
    for node in graph:
        if node.name not in integers.kernels:
            continue
        source = node.inputs[0]
        writer = QuantizedWriter(node.name, tensors, integers=integers)
        x = writer.rounded(node.name + READS, integers.edges[source])
        writer.finish(writer.output(to_onnx(node.op, writer, [Value(x, shapes[source])])))
        inputs[node.name + READS], outputs[node.name] = shapes[source], shapes[node.name]
        nodes.extend(writer.nodes)
        constants.update(writer.constants)
    return plain_model(nodes, constants, inputs, outputs)
