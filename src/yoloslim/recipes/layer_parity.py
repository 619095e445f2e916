"""Whether an exported quantized network computes what torch does: layer by layer, each on torch's own input.

From end to end nothing can be asked of codes: a sum that torch and a runtime add up in another order may be rounded to
the next code, and later layers multiply such differences.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yoloslim.compress.quantization.integers import Integers, integers_of
from yoloslim.compress.quantization.network import QuantizedNetwork
from yoloslim.export.onnx_layers import READS, layers_model
from yoloslim.graph.graph import IMAGE
from yoloslim.runtime.onnx_backend import run_once
from yoloslim.weights.layout import tensor_shapes

EQUAL_SHARE = 0.999
"""Least share of codes that must be torch's."""

MAX_SUM_DIFF = 1e-4
"""Largest difference of sums that stay in float, relative to the largest of them."""


@dataclass(frozen=True, slots=True)
class LayerParity:
    """How far the convolutions of an exported network are from torch's.

    Attributes:
        layers: how many were compared.
        max_code_diff: largest difference of two codes.
        equal_share: of the codes of the layer with the fewest equal ones, 0..1.
        worst: the name of that layer.
        unequal: how many of its codes differ.
        max_rel_diff: of the sums that stay in float, relative to the largest.
    """

    layers: int
    max_code_diff: int
    equal_share: float
    worst: str
    unequal: int
    max_rel_diff: float

    @property
    def holds(self) -> bool:
        """Whether all codes are within one of torch's, all but one in a thousand equal, and sums in float to rounding.

        One code may differ in any layer: in small ones it is more than a thousandth.
        """
        is_equal = self.equal_share >= EQUAL_SHARE or self.unequal == 1
        return self.max_code_diff <= 1 and is_equal and self.max_rel_diff <= MAX_SUM_DIFF


def layer_parity(
    network: QuantizedNetwork, batch: NDArray[np.float32], *, optimised: bool = True, threads: int = 0
) -> LayerParity:
    """Gives how far onnxruntime is from torch for every convolution on integers.

    Args:
        batch: pictures, shape (B, C, H, W), RGB in 0..1.
        optimised: whether onnxruntime may rewrite the file, as it does in use.

    Raises:
        BackendMissing: onnx or onnxruntime is not installed.
    """
    integers = integers_of(network)
    known = tensor_shapes(network.graph)
    tensors = {name: tensor.float().cpu().numpy() for name, tensor in network.state_dict().items() if name in known}
    model = layers_model(network.graph, tensors, integers).SerializeToString()
    maps = golden_maps(network, torch.from_numpy(batch))
    inputs = {name + READS: maps[network.graph[name].inputs[0]] for name in integers.kernels}
    found = run_once(model, inputs, optimised=optimised, threads=threads)
    return _compared(found, maps, integers)


def golden_maps(network: QuantizedNetwork, images: Tensor) -> dict[str, NDArray[np.float32]]:
    """Gives what torch computes at every node, and the image on its codes."""
    maps: dict[str, NDArray[np.float32]] = {}

    def keep(name: str, x: Tensor) -> Tensor:
        maps[name] = x.numpy()
        return x

    with torch.inference_mode():
        maps[IMAGE] = network.rounded(IMAGE, images).numpy()
        network(images, keep)
    return maps


def _compared(
    found: Mapping[str, NDArray[np.float32]], maps: Mapping[str, NDArray[np.float32]], integers: Integers
) -> LayerParity:
    coded = [name for name in found if name in integers.edges]
    steps = {name: np.abs(found[name] - maps[name]) / _step(name, integers) for name in coded}
    codes = {name: np.rint(step).astype(np.int64) for name, step in steps.items()}
    shares = {name: float((found[name] == maps[name]).mean()) for name in coded}
    worst = min(shares, key=shares.__getitem__, default="")
    floats = [_relative(found[name], maps[name]) for name in found if name not in integers.edges]
    largest = max((int(step.max()) for step in codes.values()), default=0)
    unequal = int((found[worst] != maps[worst]).sum()) if worst else 0
    return LayerParity(len(found), largest, shares.get(worst, 1.0), worst, unequal, max(floats, default=0.0))


def _step(name: str, integers: Integers) -> float:
    """What one code of a layer is worth: of its sums, in whole codes of its output, where both are rounded."""
    step = float(integers.edges[name].scale)
    before = integers.before.get(name)
    return step if before is None else step * math.ceil(float(before.scale) / step)


def _relative(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    return float(np.abs(found - expected).max() / (np.abs(expected).max() or 1.0))
