"""A network as an ONNX file that needs no other: standard operators, and metadata that say how to use it.

Batch-norm is folded into the convolutions, in float64. onnxruntime does the same when it loads a file, in float32: the
speed is equal there, but every other program gets the short form too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from yoloslim import __version__
from yoloslim.compress.quantization.integers import Integers
from yoloslim.errors import BackendMissing, TargetError
from yoloslim.export.onnx_ops import to_onnx
from yoloslim.export.onnx_quantized import OPSET_OF_FOUR_BITS, QuantizedWriter, is_packed, packed
from yoloslim.export.onnx_writer import NodeWriter, OnnxNode, Value
from yoloslim.files import write_atomically
from yoloslim.graph.graph import IMAGE, Graph
from yoloslim.graph.ops import Op, Shape
from yoloslim.graph.shapes import infer_shapes, output_shape
from yoloslim.weights.description import PRODUCER, Description, to_metadata
from yoloslim.weights.layout import check_tensors, tensor_shapes

if TYPE_CHECKING:
    import onnx

OPSET = 17
IR_VERSION = 8
"""The pair of 2022: old enough for every runtime in use, and the first with all operators that are needed."""

INPUT = "images"
"""Name of the input, shape (batch, C, H, W), RGB in 0..1; the batch is free, the rest is the cfg's."""

_MAX_BYTES = 2**31 - 2**20  # protobuf's limit, less room for everything but the weights

Tensors = Mapping[str, NDArray[np.float32]]


def export_onnx(path: str | Path, description: Description, tensors: Tensors, integers: Integers | None = None) -> None:
    """Writes a network as an ONNX file; the file of that name, if there is one, stays whole until the new one is.

    Args:
        tensors: by name in the state dict, as the description's graph needs them.
        integers: of a quantized network: what it rounds, and to which codes.

    Raises:
        BackendMissing: the onnx package is not installed.
        WeightsError: the tensors do not fit the graph.
        TargetError: the network has no heads, or is too large.
        OutputError: the file cannot be written.
    """
    content = onnx_model(description, tensors, integers).SerializeToString()
    with write_atomically(path) as temporary:
        temporary.write_bytes(content)


def onnx_model(description: Description, tensors: Tensors, integers: Integers | None = None) -> onnx.ModelProto:
    """Gives the ONNX form of a network, as ``export_onnx`` writes it, checked in full by the onnx package.

    It has one output a head, named after its node, shape (batch, anchors, h, w, values of a box), raw.

    Raises:
        BackendMissing: the onnx package is not installed.
        WeightsError: the tensors do not fit the graph.
        TargetError: the network has no heads, or is too large.
    """
    _check(description.graph, tensors)
    nodes, constants = written_nodes(description.graph, tensors, integers)
    if integers is not None:
        constants = packed(nodes, constants, integers)
    model: onnx.ModelProto = _model(description, nodes, constants)
    _package().checker.check_model(model, full_check=True)
    return model


def written_nodes(
    graph: Graph, tensors: Tensors, integers: Integers | None = None
) -> tuple[list[OnnxNode], dict[str, NDArray[Any]]]:
    """Gives the ONNX nodes of a network, in the order of computation, and the constants that they read, by name."""
    make = NodeWriter if integers is None else partial(QuantizedWriter, integers=integers)
    shapes = infer_shapes(graph)
    image = make(IMAGE, tensors)
    values = {IMAGE: Value(image.finish(image.output(INPUT)), shapes[IMAGE])}
    nodes, constants = list(image.nodes), dict(image.constants)
    for node in graph:
        writer = make(node.name, tensors, node.weights_of)
        result = writer.finish(writer.output(to_onnx(node.op, writer, [values[name] for name in node.inputs])))
        values[node.name] = Value(result, shapes[node.name])
        nodes.extend(writer.nodes)
        constants.update(writer.constants)
    return nodes, constants


def export_operator(path: str | Path, op: Op, shape: Shape, tensors: Tensors) -> None:
    """Writes an ONNX file of one op that reads one map, for measuring it.

    Args:
        shape: of the map.
        tensors: of the op, by their name within a node.

    Raises:
        BackendMissing: the onnx package is not installed.
    """
    writer = NodeWriter("operator", {f"operator.{key}": values for key, values in tensors.items()})
    result = writer.finish(to_onnx(op, writer, [Value(INPUT, shape)]))
    model = plain_model(writer.nodes, writer.constants, {INPUT: shape}, {result: output_shape(op, [shape])})
    with write_atomically(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


def _check(graph: Graph, tensors: Tensors) -> None:
    where = graph.path or "network"
    check_tensors(tensor_shapes(graph), {name: tensor.shape for name, tensor in tensors.items()}, where)
    if not graph.heads:
        raise TargetError(f"{where}: this network has no [yolo] layer, so the file would have no output")
    size = sum(tensor.nbytes for tensor in tensors.values())
    if size > _MAX_BYTES:
        raise TargetError(f"{where}: an ONNX file holds less than 2 GiB, the weights are {size:,} bytes")


def _model(description: Description, nodes: Iterable[OnnxNode], constants: Mapping[str, NDArray[Any]]) -> Any:
    model = plain_model(nodes, constants, {INPUT: description.graph.input_shape}, description.head_shapes)
    model.producer_name, model.producer_version = PRODUCER, __version__
    _package().helper.set_model_props(model, to_metadata(description))
    return model


def plain_model(
    nodes: Iterable[OnnxNode],
    constants: Mapping[str, NDArray[Any]],
    inputs: Mapping[str, tuple[int, ...]],
    outputs: Mapping[str, tuple[int, ...]],
) -> Any:
    """Gives an ONNX model without metadata; shapes are those without the batch."""
    helper, numpy_helper = _package().helper, _package().numpy_helper
    body = helper.make_graph(
        [helper.make_node(n.kind, n.inputs, [n.output], n.name, **n.attributes) for n in nodes],
        PRODUCER,
        [_tensor_info(name, shape) for name, shape in inputs.items()],
        [_tensor_info(name, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    opset, ir_version = (OPSET_OF_FOUR_BITS, 10) if any(map(is_packed, constants.values())) else (OPSET, IR_VERSION)
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)


def _tensor_info(name: str, shape: tuple[int, ...]) -> Any:
    onnx = _package()
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ("batch", *shape))


def _package() -> Any:
    """The onnx package, which is optional and slow to load."""
    try:
        import onnx
    except ImportError as error:
        raise BackendMissing("onnx", "export to ONNX") from error
    return onnx
