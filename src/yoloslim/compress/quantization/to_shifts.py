"""From a quantized network whose scales are powers of two to one in whole numbers alone."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray

from yoloslim.compress.quantization.codes import Grid, to_codes
from yoloslim.compress.quantization.integers import Integers, KernelCodes, MapCodes, integers_of
from yoloslim.compress.quantization.network import QuantizedNetwork
from yoloslim.compress.quantization.shifts import CodeRange, ShiftedKernel, ShiftedNetwork, Table
from yoloslim.errors import TargetError
from yoloslim.graph.graph import Graph, Node
from yoloslim.graph.ops import Convolution, Depthwise, Shortcut, Yolo
from yoloslim.nn.layers.activation import FUNCTIONS

TARGET = "fpga"


def shifted(network: QuantizedNetwork) -> ShiftedNetwork:
    """Gives the whole numbers that compute what a quantized network does, run in float64: bit for bit.

    Raises:
        TargetError: it was made for another target, a part of it is in float, a scale is no power of two, or a sum
            may leave 32 bits.
        WeightsError: it is not calibrated.
    """
    if network.plan.target != TARGET:
        found = f"this network was quantized for {network.plan.target}"
        raise TargetError(f"integers alone need a network made for {TARGET}, {found}: yoloslim quantize --for {TARGET}")
    integers = integers_of(copy.deepcopy(network).double())  # batch-norm is folded in float64, as it will compute
    for node in network.graph:
        _check_node(node, network.graph, integers)
    ranges = {name: _code_range(name, codes) for name, codes in integers.edges.items()}
    kernels = {name: _kernel(name, codes, integers) for name, codes in integers.kernels.items()}
    tables = {node.name: _table(node, integers) for node in network.graph if _has_table(node, integers)}
    return ShiftedNetwork(network.graph, ranges, kernels, tables)


def _check_node(node: Node, graph: Graph, integers: Integers) -> None:
    """Refuses a node that computes in float, or whose values reach another node or a head in float."""
    readers = [other.op for other in graph if node.name in other.inputs]
    if isinstance(node.op, Convolution | Depthwise) and node.name not in integers.kernels:
        raise TargetError(f"{node.name}: computes in float, an FPGA on integers: quantize without --keep-float")
    if node.name in integers.edges or isinstance(node.op, Yolo) or not readers:
        return
    is_linear = isinstance(node.op, Convolution | Depthwise) and node.op.activation == "linear"
    if not is_linear or not all(isinstance(op, Yolo) for op in readers):
        raise TargetError(f"{node.name}: expected a linear convolution before a head, found {type(node.op).__name__}")


def _code_range(name: str, codes: MapCodes) -> CodeRange:
    if codes.zero_point:
        raise TargetError(f"{name}: expected codes around 0, found a zero point of {codes.zero_point}")
    return CodeRange(int(_exponents(name, codes.scale)), codes.spec.low, codes.spec.high, codes.spec.rounding)


def _exponents(name: str, scales: np.float32 | NDArray[np.float32]) -> NDArray[np.int64]:
    """The exponents of scales, in their shape."""
    fractions, exponents = np.frexp(scales)
    others = np.ravel(scales)[np.ravel(fractions) != 0.5]
    if others.size:
        raise TargetError(f"{name}: expected powers of two, found a scale of {others[0]:g}: quantize --power-of-two")
    return np.asarray(exponents, np.int64) - 1


def _kernel(name: str, codes: KernelCodes, integers: Integers) -> ShiftedKernel:
    rounded = integers.before.get(name) or integers.edges.get(name)
    sums = _code_range(name, rounded) if rounded else None
    shift = (sums.exponent if sums else 0) - _exponents(name, codes.bias_scale)
    return ShiftedKernel(codes.weight, codes.bias, shift.astype(np.int8), sums)


def _has_table(node: Node, integers: Integers) -> bool:
    """Whether codes change behind a node's sums; those that leave no codes, or are linear, do not."""
    is_linear = getattr(node.op, "activation", "linear") == "linear"
    return node.name in integers.before or (isinstance(node.op, Shortcut) and not is_linear)


def _table(node: Node, integers: Integers) -> Table:
    """The output code for every code of the sums; a clamp of a shortcut may follow its rounding, which keeps order."""
    after = integers.edges[node.name]
    before = integers.before.get(node.name, after)
    codes = torch.arange(before.spec.low, before.spec.high + 1, dtype=torch.float64)
    values = FUNCTIONS[getattr(node.op, "activation", "linear")](codes * float(before.scale))
    grid = Grid(torch.tensor(after.scale), torch.tensor(0.0))
    found: Table = to_codes(values, grid, after.spec).numpy().astype(_code_range(node.name, after).dtype)
    return found
