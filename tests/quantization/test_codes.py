"""Codes are ONNX's: onnxruntime and torch as oracles, and the law of every quantizer."""

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from yoloslim.compress.quantization.codes import Grid, fake_quantized, from_codes, grid_of, rounded
from yoloslim.compress.quantization.fake_quantizer import RangeQuantizer, WeightQuantizer
from yoloslim.compress.quantization.spec import QuantSpec
from yoloslim.compress.quantization.weight_ranges import extremes, weight_range
from yoloslim.errors import RecipeError
from yoloslim.runtime.onnx_backend import run_once

UNSIGNED = QuantSpec(signed=False)
SIGNED = QuantSpec(symmetric=True)


def onnxruntime_round_trip(x: NDArray[np.float32], grid: Grid, spec: QuantSpec) -> NDArray[np.float32]:
    """What QuantizeLinear and DequantizeLinear make of a tensor."""
    kind = np.int8 if spec.signed else np.uint8
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    constants = [
        numpy_helper.from_array(grid.scale.numpy(), "scale"),
        numpy_helper.from_array(grid.zero_point.numpy().astype(kind), "zero"),
    ]
    along = {} if spec.axis is None else {"axis": spec.axis}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["codes"], **along),
        helper.make_node("DequantizeLinear", ["codes", "scale", "zero"], ["y"], **along),
    ]
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, x.shape) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "round trip", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return run_once(model.SerializeToString(), {"x": x}, optimised=False, threads=1)["y"]


@pytest.mark.parametrize("spec", [UNSIGNED, SIGNED, QuantSpec(), QuantSpec(axis=0), QuantSpec(symmetric=True, axis=1)])
@pytest.mark.parametrize("spread", [1e-3, 1.0, 300.0])
def test_codes_are_those_of_onnxruntime_bit_for_bit(spec: QuantSpec, spread: float) -> None:
    x = spread * torch.randn(6, 6, 500, generator=torch.Generator().manual_seed(0))
    low, high = (x.amin(), x.amax()) if spec.axis is None else (x.amin((1 - spec.axis, 2)), x.amax((1 - spec.axis, 2)))
    grid = grid_of(0.8 * low, 0.8 * high, spec)  # a few values saturate

    ours = fake_quantized(x, grid, spec).numpy()

    np.testing.assert_array_equal(ours, onnxruntime_round_trip(x.numpy(), grid, spec))


@pytest.mark.parametrize("scale", [0.1, 0.013, 1 / 3, 0.25])
def test_ties_go_where_onnxruntime_has_them(scale: float) -> None:
    grid = Grid(torch.tensor(scale), torch.tensor(7.0))
    x = (torch.arange(-300, 300) + 0.5) * torch.tensor(scale)

    ours = fake_quantized(x, grid, UNSIGNED).numpy()

    np.testing.assert_array_equal(ours, onnxruntime_round_trip(x.numpy(), grid, UNSIGNED))


@given(exponent=st.integers(-12, 3), bits=st.integers(2, 8), seed=st.integers(0, 99))
def test_powers_of_two_give_what_torch_gives(exponent: int, bits: int, seed: int) -> None:
    spec = QuantSpec(bits, signed=False)
    grid = Grid(torch.tensor(2.0**exponent), torch.tensor(1.0))
    x = torch.randn(200, generator=torch.Generator().manual_seed(seed)) * 2.0**exponent * 2**bits

    theirs = torch.fake_quantize_per_tensor_affine(x, 2.0**exponent, 1, spec.low, spec.high)

    assert torch.equal(fake_quantized(x, grid, spec), theirs)


def test_channels_at_powers_of_two_give_what_torch_gives() -> None:
    weight = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    spec = QuantSpec(symmetric=True, axis=0, scale="power_of_two")
    grid = grid_of(*extremes(weight, spec), spec)

    theirs = torch.fake_quantize_per_channel_affine(weight, grid.scale, grid.zero_point.int(), 0, -128, 127)

    assert torch.equal(fake_quantized(weight, grid, spec), theirs)


def test_gradients_are_those_of_clipping() -> None:
    grid = Grid(torch.tensor(0.1), torch.tensor(3.0))
    x = torch.linspace(-2, 30, 97, dtype=torch.float64, requires_grad=True)
    low, high = (float(from_codes(torch.tensor(float(code)), grid, UNSIGNED)) for code in (0, 255))

    fake_quantized(x, grid, UNSIGNED).sum().backward()

    inside = x.detach()
    slope = ((inside + 1e-6).clamp(low, high) - (inside - 1e-6).clamp(low, high)) / 2e-6
    assert ((inside - low).abs() > 0.05).sum() > 90
    is_clear = ((inside - low).abs() > 0.05) & ((inside - high).abs() > 0.05)
    torch.testing.assert_close(x.grad[is_clear], slope[is_clear], rtol=0, atol=1e-6)
    assert set(x.grad[is_clear].tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(
    "quantizer",
    [
        RangeQuantizer(UNSIGNED),
        RangeQuantizer(QuantSpec(4)),
        RangeQuantizer(QuantSpec(symmetric=True, scale="power_of_two", rounding="half_away")),
        WeightQuantizer(SIGNED),
        WeightQuantizer(QuantSpec(5, symmetric=True, axis=0), 6),
        WeightQuantizer(QuantSpec(symmetric=True, axis=0, scale="power_of_two"), 6),
    ],
    ids=lambda quantizer: f"{type(quantizer).__name__} {quantizer.spec.bits} {quantizer.spec.scale}",
)
def test_codes_reproduce_what_a_quantizer_gives(quantizer: RangeQuantizer) -> None:
    x = torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    quantizer.set_range(-1.5, 2.0)

    integers, grid = quantizer.eval().codes(x)

    spec = quantizer.spec
    assert integers.dtype == torch.int32
    assert spec.low <= int(integers.min()) < int(integers.max()) <= spec.high
    assert torch.equal(from_codes(integers.float(), grid, spec), quantizer(x))


@given(low=st.floats(-50, 0), high=st.floats(0, 50), bits=st.integers(2, 8), symmetric=st.booleans())
def test_zero_has_a_code_and_the_ends_are_within_half_a_code(
    low: float, high: float, bits: int, symmetric: bool
) -> None:
    spec = QuantSpec(bits, symmetric=symmetric)
    ends = torch.tensor([low, high, 0.0])
    grid = grid_of(ends[0], ends[1], spec)

    found = fake_quantized(ends, grid, spec)

    assert found[2] == 0
    assert float((found - ends).abs().max()) <= float(grid.scale) * (0.5 + 1e-3) + (
        0 if symmetric else float(grid.scale)
    )


def test_halves_are_rounded_to_even_or_away_from_zero() -> None:
    halves = torch.tensor([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])

    assert rounded(halves, "half_even").tolist() == [-2, -2, 0, 0, 2, 2]
    assert rounded(halves, "half_away").tolist() == [-3, -2, -1, 1, 2, 3]


def test_what_is_just_below_a_half_or_large_and_odd_is_rounded_once() -> None:
    x = torch.tensor([0.5 - 2**-25, -0.5 + 2**-25, 2.0**23 + 1, -(2.0**23) - 1])

    for way in ("half_even", "half_away"):
        assert rounded(x, way).tolist() == [0, 0, 2**23 + 1, -(2**23) - 1]


def test_a_power_of_two_scale_is_the_nearest_one() -> None:
    spec = QuantSpec(symmetric=True, scale="power_of_two")
    highs = torch.tensor([127.0, 127 * 1.4, 127 * 1.42, 127 * 0.71, 127 * 0.70])

    assert grid_of(-highs, highs, spec).scale.tolist() == [1.0, 1.0, 2.0, 1.0, 0.5]


def test_codes_of_a_tensor_of_zeros_are_zeros() -> None:
    quantizer = WeightQuantizer(SIGNED)
    quantizer.set_range(0.0, 0.0)
    zeros = torch.zeros(2, 2, 1, 1)

    assert torch.equal(quantizer.eval()(zeros), zeros)
    assert quantizer.codes(zeros).integers.abs().sum() == 0


@pytest.mark.parametrize("bits", [1, 9, 0, 16])
def test_other_numbers_of_bits_are_refused(bits: int) -> None:
    with pytest.raises(RecipeError, match=f"bits: expected 2 to 8, found {bits}"):
        QuantSpec(bits)


def test_tensors_that_share_a_scale_are_covered_together() -> None:
    quantizer = RangeQuantizer(UNSIGNED, 2).train()
    quantizer.set_range(0.0, 1.0)

    for _ in range(600):
        quantizer(torch.tensor([0.0, 10.0]), 0)
        quantizer(torch.tensor([-2.0, 1.0]), 1)

    values: Tensor = quantizer.eval()(torch.tensor([9.9, -1.9]))
    torch.testing.assert_close(values, torch.tensor([9.9, -1.9]), rtol=0, atol=0.03)


@pytest.mark.parametrize("axis", [None, 0])
@pytest.mark.parametrize("bits", [8, 4])
def test_weights_of_few_bits_have_the_better_range_in_training(bits: int, axis: int | None) -> None:
    spec = QuantSpec(bits, symmetric=True, axis=axis)
    weight = torch.randn(3, 8, 3, 3, generator=torch.Generator().manual_seed(1))
    quantizer = WeightQuantizer(spec, 1 if axis is None else 3).train()
    whole, best = extremes(weight, spec), weight_range(weight, spec)

    quantizer.folded(weight, torch.ones(3, 1, 1, 1))

    def error(low: torch.Tensor, high: torch.Tensor) -> float:
        return float((fake_quantized(weight, grid_of(low, high, spec), spec) - weight).square().sum())

    found = (quantizer.low, quantizer.high)
    if bits == 8:
        assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, whole, strict=True))
    else:
        assert error(*best) <= error(*found) < 0.9 * error(*whole)


def test_a_range_follows_what_it_sees_in_training_alone_and_until_it_is_frozen() -> None:
    quantizer = RangeQuantizer(UNSIGNED)
    quantizer.set_range(0.0, 1.0)
    quantizer.eval()(torch.tensor([5.0]))
    assert quantizer.high.tolist() == [1.0]

    quantizer.train()(torch.tensor([5.0]))
    assert quantizer.high.tolist() == pytest.approx([1.04])

    quantizer.is_frozen = True
    quantizer(torch.tensor([5.0]))
    assert quantizer.high.tolist() == pytest.approx([1.04])
