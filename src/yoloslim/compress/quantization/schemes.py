"""What rounds weights and maps under each scheme.

- ``google``: ranges follow the values (Jacob et al., 2018).
- ``dorefa``: weights squeezed by a hyperbolic tangent, maps from 0 to a fixed end (Zhou et al., 2016).
- ``lsq``: scales are learned (Esser et al., 2020).
"""

from __future__ import annotations

from yoloslim.compress.quantization.dorefa import MAP_END, DorefaWeights, dorefa_maps
from yoloslim.compress.quantization.fake_quantizer import FixedQuantizer, Quantizer, RangeQuantizer, WeightQuantizer
from yoloslim.compress.quantization.learned_step import StepQuantizer, WeightStepQuantizer
from yoloslim.compress.quantization.spec import QuantSpec

WeightRounding = WeightQuantizer | WeightStepQuantizer | DorefaWeights


def map_quantizer(scheme: str, spec: QuantSpec, members: int = 1) -> Quantizer:
    """Gives what rounds the maps, or sums, of one scale.

    Args:
        members: how many tensors have it.
    """
    if scheme == "lsq":
        return StepQuantizer(spec)
    if scheme == "dorefa" and spec == dorefa_maps(spec):
        return FixedQuantizer(spec, 0.0, MAP_END)
    return RangeQuantizer(spec, members)


def image_quantizer(spec: QuantSpec) -> Quantizer:
    """Gives what rounds pictures, whose values are from 0 to 1 whatever is in them."""
    return FixedQuantizer(spec, 0.0, 1.0)


def weight_quantizer(scheme: str, spec: QuantSpec, channels: int) -> WeightRounding:
    """Gives what rounds the weights of a convolution with so many output channels."""
    if scheme == "dorefa":
        return DorefaWeights(spec)
    scales = channels if spec.axis is not None else 1
    return WeightStepQuantizer(spec, scales) if scheme == "lsq" else WeightQuantizer(spec, scales)
