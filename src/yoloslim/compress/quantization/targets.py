"""What each target computes on integers, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from yoloslim.compress.quantization.spec import QuantSpec, Rounding, Scale
from yoloslim.errors import RecipeError
from yoloslim.graph.ops import (
    Convolution,
    Depthwise,
    Dropout,
    Empty,
    MaxPool,
    Op,
    Route,
    Shortcut,
    Upsample,
    Yolo,
)


@dataclass(frozen=True, slots=True)
class Target:
    """A machine or program that runs quantized networks.

    Attributes:
        weights: codes of weights.
        activations: codes of feature maps.
        image: codes of the picture, whose values are 0..1.
        fused: activations that it computes on the sums of a convolution, before these become codes. Other activations
            read codes: the sums are rounded before them too.
        repeats: whether codes are written again behind layers that only pass them on; else those stay floats between.
        ops: kinds of layers that it runs; None for all.
        activation_names: activations that it runs; None for all.
        max_pool: largest side of a pooling window; 0 for any.
        scales: kinds of scale that it multiplies by.
        roundings: ways to round that it has.
    """

    weights: QuantSpec
    activations: QuantSpec
    image: QuantSpec
    fused: frozenset[str]
    repeats: bool = True
    ops: frozenset[type[Op]] | None = None
    activation_names: frozenset[str] | None = None
    max_pool: int = 0
    scales: tuple[Scale, ...] = ("float", "power_of_two")
    roundings: tuple[Rounding, ...] = ("half_even",)


_CHANNELS = QuantSpec(symmetric=True, axis=0)
_AFFINE = QuantSpec(signed=False)
_PIXELS = QuantSpec(signed=False, symmetric=True)
_SHIFTED = QuantSpec(symmetric=True, scale="power_of_two", rounding="half_away")
_CLIPPED = frozenset({"linear", "relu", "relu6"})
_ELEMENTWISE = _CLIPPED | {"leaky", "elu", "logistic", "tanh", "swish", "mish", "h_swish", "relie", "revleaky"}

TARGETS: Mapping[str, Target] = {
    "onnxruntime": Target(_CHANNELS, _AFFINE, _PIXELS, _CLIPPED),
    # without VNNI the sum of two products of 8 and 8 bits saturates at 16 bits
    "onnxruntime-avx2": Target(replace(_CHANNELS, bits=7), _AFFINE, _PIXELS, _CLIPPED),
    "openvino": Target(_CHANNELS, _AFFINE, _PIXELS, _ELEMENTWISE, repeats=False),
    "tensorrt": Target(_CHANNELS, QuantSpec(symmetric=True), QuantSpec(symmetric=True), _CLIPPED),
    "fpga": Target(
        _SHIFTED,
        _SHIFTED,
        replace(_PIXELS, scale="power_of_two", rounding="half_away"),
        frozenset({"linear"}),
        ops=frozenset({Convolution, Depthwise, Dropout, Empty, MaxPool, Route, Shortcut, Upsample, Yolo}),
        activation_names=frozenset({"linear", "relu", "relu6", "leaky"}),
        max_pool=8,
        scales=("power_of_two",),
        roundings=("half_even", "half_away"),
    ),
}
"""By the name that ``--for`` takes."""


def find_target(name: str) -> Target:
    """Gives the target of that name.

    Raises:
        RecipeError: there is none.
    """
    if name not in TARGETS:
        raise RecipeError(f"--for {name}: expected one of {', '.join(TARGETS)}")
    return TARGETS[name]
