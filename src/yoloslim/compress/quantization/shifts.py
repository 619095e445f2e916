"""A quantized network in whole numbers alone: what hardware without multipliers for scales computes.

Every scale is a power of two, so a sum becomes a code by a shift, and an activation is a table of all its codes. This
is plain data on numpy: neither reading nor running it needs torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yoloslim.compress.quantization.spec import Rounding
from yoloslim.errors import TargetError
from yoloslim.graph.graph import IMAGE, Graph
from yoloslim.graph.ops import Shortcut

INDEX_SCHEMA = 1
"""Version of the index of a folder that holds such a network; a reader refuses a higher one."""

Table = NDArray[np.int8] | NDArray[np.uint8]

SUM_LIMIT = 2**31
"""What the absolute value of a sum of 32 bits stays below."""


@dataclass(frozen=True, slots=True)
class CodeRange:
    """The codes of a map: a code from ``low`` to ``high`` stands for ``code * 2**exponent``.

    Attributes:
        rounding: of a value halfway between two codes.
    """

    exponent: int
    low: int
    high: int
    rounding: Rounding = "half_away"

    @property
    def largest(self) -> int:
        """The largest absolute value of a code."""
        return max(-self.low, self.high)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of one byte that holds the codes."""
        return np.dtype(np.int8) if self.low < 0 else np.dtype(np.uint8)


@dataclass(frozen=True, slots=True)
class ShiftedKernel:
    """A convolution in whole numbers.

    Attributes:
        weight: int8, shape (O, I, k, k).
        bias: int32, shape (O,), in units of the sums.
        shift: int8, shape (O,): sums are divided by ``2**shift`` and rounded to codes; before a head they are divided
            and not rounded, which gives the values of the head map.
        sums: the codes that sums become, before the activation; None before a head.
    """

    weight: NDArray[np.int8]
    bias: NDArray[np.int32]
    shift: NDArray[np.int8]
    sums: CodeRange | None


@dataclass(frozen=True, slots=True)
class ShiftedNetwork:
    """A network in whole numbers.

    Attributes:
        graph: what is computed.
        ranges: codes of the image and of every node, but of those whose sums go to a head.
        kernels: by node.
        tables: by node: the output code for every code that its sums become, from the lowest one; shape
            (codes,). A node without one gives its codes as they are.
    """

    graph: Graph
    ranges: Mapping[str, CodeRange]
    kernels: Mapping[str, ShiftedKernel]
    tables: Mapping[str, Table] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for node in self.graph:
            largest = self._largest_sum(node.name)
            if largest >= SUM_LIMIT:
                text = f"its sums may come to {largest:,}, 32 bits hold less than {SUM_LIMIT:,}"
                raise TargetError(f"{node.name}: {text}; quantize it with fewer --weight-bits or --activation-bits")

    def _largest_sum(self, name: str) -> int:
        """The largest absolute value that any picture can bring a sum of a node to; 0 where nothing is added."""
        node = self.graph[name]
        if name in self.kernels:
            return int(self.largest_sums(name).max())
        if isinstance(node.op, Shortcut) and name in self.ranges:
            read = [self.ranges[source] for source in node.inputs]
            least = min(codes.exponent for codes in read)
            return sum(codes.largest << (codes.exponent - least) for codes in read)
        return 0

    def largest_sums(self, name: str) -> NDArray[np.int64]:
        """Gives the largest absolute value of a convolution's sums, in any order of adding, shape (O,)."""
        kernel, read = self.kernels[name], self.ranges[self.graph[name].inputs[0]]
        products = np.abs(kernel.weight.astype(np.int64)).sum((1, 2, 3)) * read.largest
        return np.asarray(products + np.abs(kernel.bias.astype(np.int64)), np.int64)

    @property
    def pixel_codes(self) -> NDArray[np.uint8]:
        """The code of every value of a pixel, 0..255, which stands for value / 255; shape (256,)."""
        pixels = np.arange(256, dtype=np.float32) / np.float32(255)
        return self.image_codes(pixels).astype(np.uint8)

    def image_codes(self, values: NDArray[np.float32]) -> NDArray[np.int32]:
        """Gives the codes of pictures from their values, 0..1; any shape."""
        codes = self.ranges[IMAGE]
        return nearest_codes(np.ldexp(values.astype(np.float64), -codes.exponent), codes)


def nearest_codes(quotients: NDArray[np.float64], codes: CodeRange) -> NDArray[np.int32]:
    """Gives the code nearest to every quotient, ``value / 2**exponent``.

    Quotients of whole numbers of 32 bits by powers of two are exact in float64, and so is the half that is added to all
    but tiny ones, whose code is 0 either way.
    """
    is_even = codes.rounding == "half_even"
    nearest = np.rint(quotients) if is_even else np.trunc(quotients + np.copysign(0.5, quotients))
    return np.clip(nearest, codes.low, codes.high).astype(np.int32)
