"""Codes in ONNX: pairs of QuantizeLinear and DequantizeLinear, weights as int8, biases as int32 (the QDQ form).

Runtimes take an operator between such pairs as one on integers. A float runtime computes the same, slower.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yoloslim.compress.quantization.integers import Integers, MapCodes
from yoloslim.errors import TargetError
from yoloslim.export.onnx_writer import NodeWriter, OnnxNode

OPSET_OF_FOUR_BITS = 21
"""The first with weights of half a byte."""

_FULL_BITS = 8
_HALF_BITS = 4


class QuantizedWriter(NodeWriter):
    """Writes a node of a quantized network.

    Args:
        integers: of the whole network.
    """

    def __init__(
        self, name: str, tensors: Mapping[str, NDArray[np.float32]], owner: str = "", *, integers: Integers
    ) -> None:
        super().__init__(name, tensors, owner)
        self._integers = integers

    def kernel(self, weight: NDArray[np.float64], bias: NDArray[np.float64]) -> tuple[str, str]:
        """Adds the whole numbers of a convolution, where it computes on such, and gives weight and bias in float."""
        codes = self._integers.kernels.get(self.name)
        if codes is None:
            return super().kernel(weight, bias)
        weight_name = self._dequantized("weight", codes.weight, codes.scale)
        return weight_name, self._dequantized("bias", codes.bias, codes.bias_scale)

    def sums(self, x: str) -> str:
        """Rounds the sums of a convolution, where they are before its activation."""
        codes = self._integers.before.get(self.name)
        return x if codes is None else self.rounded(x, codes)

    def output(self, x: str) -> str:
        """Rounds the output of the node, where it is codes."""
        codes = self._integers.edges.get(self.name)
        return x if codes is None or self.name in self._integers.silent else self.rounded(x, codes)

    def rounded(self, x: str, codes: MapCodes) -> str:
        """Writes a tensor's way to codes and back; below 8 bits it is clipped before, as ONNX has whole bytes.

        Raises:
            TargetError: ONNX does not round like this.
        """
        spec = codes.spec
        if spec.rounding != "half_even":
            text = f"ONNX rounds half_even, this network was quantized with {spec.rounding}"
            raise TargetError(f"{self.name}: {text}: quantize it again with rounding half_even")
        kind = np.dtype(np.int8 if spec.signed else np.uint8)
        if spec.bits < _FULL_BITS:
            ends = ((code - codes.zero_point) * float(codes.scale) for code in (spec.low, spec.high))
            x = self.add("Clip", x, *map(self.number, ends))
        scale = self.number(float(codes.scale))
        zero_point = self.constant(f"{kind}/{codes.zero_point}", np.array(codes.zero_point, kind))
        return self.add("DequantizeLinear", self.add("QuantizeLinear", x, scale, zero_point), scale, zero_point)

    def _dequantized(self, key: str, integers: NDArray[np.int8] | NDArray[np.int32], scale: NDArray[np.float32]) -> str:
        name = self.constant(f"{self.name}.{key}", integers)
        scale_name = self.constant(f"{self.name}.{key}_scale", scale)
        along = {"axis": 0} if scale.ndim else {}
        return self.add("DequantizeLinear", name, scale_name, **along)


def packed(
    nodes: Sequence[OnnxNode], constants: Mapping[str, NDArray[Any]], integers: Integers
) -> dict[str, NDArray[Any]]:
    """Gives the constants with two weights of up to 4 bits in a byte.

    They stay bytes where the network has an operator that is another one since then (ReduceMax, opset 18).
    """
    if any(node.kind == "ReduceMax" for node in nodes):
        return dict(constants)
    import ml_dtypes  # comes with onnx

    few = {f"{name}.weight" for name, kernel in integers.kernels.items() if kernel.spec.width <= _HALF_BITS}
    return {name: values.astype(ml_dtypes.int4) if name in few else values for name, values in constants.items()}


def is_packed(values: NDArray[Any]) -> bool:
    """Whether a constant has two values a byte."""
    return values.dtype.name == "int4"
