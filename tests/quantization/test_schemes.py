"""DoReFa, learned steps and powers of two against their formulas, and the law of every scheme."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from yoloslim.compress.quantization.codes import from_codes, grid_of, to_codes
from yoloslim.compress.quantization.dorefa import DorefaWeights, dorefa_maps, dorefa_weights
from yoloslim.compress.quantization.fake_quantizer import Quantizer
from yoloslim.compress.quantization.learned_step import StepQuantizer, WeightStepQuantizer
from yoloslim.compress.quantization.network import QuantizedNetwork
from yoloslim.compress.quantization.place import Placement, place
from yoloslim.compress.quantization.plan import from_metadata, to_metadata
from yoloslim.compress.quantization.schemes import WeightRounding, image_quantizer, map_quantizer, weight_quantizer
from yoloslim.compress.quantization.spec import SCHEMES, QuantSpec, Rounding, Scale, Scheme
from yoloslim.compress.quantization.targets import TARGETS
from yoloslim.compress.quantization.weight_ranges import extremes
from yoloslim.errors import RecipeError, TargetError, WeightsError
from yoloslim.graph.graph import Graph
from yoloslim.recipes.quantize import quantize as quantize_network
from yoloslim.recipes.schema import QuantizeTable

CONVOLUTION = "[convolutional]\nfilters=8\nsize=3\npad=1\nbatch_normalize=1\nactivation={}"
LEAKY, RELU, SIGMOID = (CONVOLUTION.format(name) for name in ("leaky", "relu", "logistic"))
SECTIONS = [LEAKY, "[maxpool]\nsize=2\nstride=1", RELU, "[shortcut]\nfrom=-2", SIGMOID, LEAKY]
BITS = range(2, 9)
ROUNDINGS: tuple[Rounding, ...] = ("half_even", "half_away")


def weights(seed: int = 0) -> torch.Tensor:
    return 0.5 * torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(seed))


def ones(weight: torch.Tensor) -> torch.Tensor:
    return torch.ones(len(weight), 1, 1, 1)


@pytest.mark.parametrize("bits", range(2, 8))
def test_dorefa_weights_are_the_levels_of_the_paper_times_the_largest_weight(bits: int) -> None:
    weight, count = weights(), 2**bits - 1
    quantizer = DorefaWeights(dorefa_weights(QuantSpec(bits), most=8))

    found = quantizer.rounded(*quantizer.folded(weight, ones(weight)))

    w = weight.double().numpy()
    squeezed = np.tanh(w) / (2 * np.abs(np.tanh(w)).max()) + 0.5
    paper = 2 * np.round(count * squeezed) / count - 1
    np.testing.assert_allclose(found.numpy(), paper * np.abs(w).max(), rtol=1e-5, atol=1e-7)
    assert len(np.unique(paper)) <= 2**bits


@pytest.mark.parametrize("bits", range(2, 8))
def test_dorefa_weights_up_to_seven_bits_are_odd_codes_that_a_signed_byte_holds(bits: int) -> None:
    spec, weight = dorefa_weights(QuantSpec(bits), most=8), weights()
    quantizer = DorefaWeights(spec)

    codes = to_codes(*quantizer.folded(weight, ones(weight)), spec)

    assert (codes % 2 == 1).all()
    assert float(codes.abs().max()) == 2**bits - 1 == spec.high == -spec.low <= 127
    assert spec.width == bits + 1


def test_dorefa_weights_of_eight_bits_lose_one_level_and_are_within_half_a_step_of_the_paper() -> None:
    spec, weight = dorefa_weights(QuantSpec(8), most=8), weights()
    quantizer = DorefaWeights(spec)

    levels, grid = quantizer.folded(weight, ones(weight))
    codes = to_codes(levels, grid, spec)

    share = torch.tanh(weight) / torch.tanh(weight).abs().max()
    paper = 2 * torch.round(255 * (share / 2 + 0.5)) - 255  # odd, to 255: no byte holds them
    assert float(paper.abs().max()) == 255
    assert torch.equal(codes, torch.round(127 * share))
    assert float(codes.abs().max()) == 127
    assert float((codes / 127 - paper / 255).abs().max()) <= 0.5 / 127 + 0.5 * 2 / 255


def test_dorefa_weights_keep_to_the_byte_of_a_target_with_seven_bits(tiny: Callable[..., Graph]) -> None:
    specs = {}
    for bits in (6, 7):
        asked = Placement("onnxruntime-avx2", "dorefa", QuantSpec(bits, symmetric=True, axis=0))
        (specs[bits],) = set(place(tiny(LEAKY, RELU), asked).kernels.values())

    assert (specs[6].levels, specs[6].high) == ("odd", 63)
    assert (specs[7].levels, specs[7].high) == ("all", 63)


@pytest.mark.parametrize("bits", BITS)
def test_dorefa_maps_are_the_clipped_tenth_of_the_paper_tenfold(bits: int) -> None:
    x = 5 + 6 * torch.randn(500, generator=torch.Generator().manual_seed(0))
    quantizer = map_quantizer("dorefa", dorefa_maps(QuantSpec(bits)))

    found = quantizer(x)

    count = 2**bits - 1
    paper = np.round(count * np.clip(0.1 * x.double().numpy(), 0, 1)) / count
    np.testing.assert_allclose(found.numpy(), 10 * paper, rtol=1e-6, atol=1e-6)
    assert float(found[x < 0].abs().max()) == 0


def test_gradients_of_dorefa_weights_are_the_slope_of_the_tangent() -> None:
    weight = weights().double().requires_grad_()
    quantizer = DorefaWeights(dorefa_weights(QuantSpec(4), most=8))

    quantizer.rounded(*quantizer.folded(weight, ones(weight).double())).sum().backward()

    w = weight.detach()
    slope = w.abs().max() * (1 - torch.tanh(w) ** 2) / torch.tanh(w).abs().max()
    torch.testing.assert_close(weight.grad, slope)


def test_batch_norm_scales_the_codes_of_dorefa_weights_channel_by_channel() -> None:
    spec, weight = dorefa_weights(QuantSpec(3), most=8), weights()
    factor = torch.tensor([2.0, -0.5, 1e-3, 1.0, -30.0, 0.0]).view(-1, 1, 1, 1)
    quantizer = DorefaWeights(spec)

    plain = to_codes(*quantizer.folded(weight, ones(weight)), spec)
    folded, grid = quantizer.folded(weight, factor)

    assert torch.equal(to_codes(folded, grid, spec), plain * torch.sign(factor))
    torch.testing.assert_close(grid.scale[:5], weight.abs().max() / 7 * factor.flatten()[:5].abs())


def lsq(x: float, step: float, lowest: int, highest: int) -> tuple[float, float, float]:
    """Value and slopes, for x and for the step, of Esser et al. (2020), equations 1 to 3."""
    ratio = x / step
    if ratio <= lowest:
        return lowest * step, 0.0, float(lowest)
    if ratio >= highest:
        return highest * step, 0.0, float(highest)
    return round(ratio) * step, 1.0, round(ratio) - ratio


@pytest.mark.parametrize(("bits", "zero_point"), [(2, 0), (4, 3), (8, 20)])
def test_a_learned_step_has_the_values_and_slopes_of_the_paper(bits: int, zero_point: int) -> None:
    x = (4 * torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))).double().requires_grad_()
    quantizer = StepQuantizer(QuantSpec(bits, signed=False)).double()
    lowest, highest = -zero_point, 2**bits - 1 - zero_point
    quantizer.set_range(0.37 * lowest, 0.37 * highest)

    found = quantizer(x)
    found.sum().backward()

    step = float(quantizer.step.detach())
    assert step == pytest.approx(0.37)
    values, slopes, of_step = np.array([lsq(value, step, lowest, highest) for value in x.flatten().tolist()]).T
    np.testing.assert_allclose(found.detach().flatten().numpy(), values, rtol=1e-12)
    np.testing.assert_array_equal(x.grad.flatten().numpy(), slopes)
    share = 1 / math.sqrt(3 * 5 * 5 * highest)  # features of one picture
    np.testing.assert_allclose(float(quantizer.step.grad), share * of_step.sum(), rtol=1e-5)


@pytest.mark.parametrize("scale", ["float", "power_of_two"])
@pytest.mark.parametrize("axis", [None, 0])
def test_batch_norm_scales_learned_steps_with_the_weights(axis: int | None, scale: Scale) -> None:
    weight = weights()
    factor = torch.tensor([2.0, -0.5, 1e-3, 1.0, -30.0, 4.0]).view(-1, 1, 1, 1)
    spec = QuantSpec(4, symmetric=True, axis=axis, scale=scale)
    quantizer = WeightStepQuantizer(spec, 6 if axis == 0 else 1)
    low, high = extremes(weight * factor, spec)
    quantizer.set_folded_range(low, high, factor)

    grids = [quantizer.folded(weight, times * factor)[1] for times in (1, 2)]

    torch.testing.assert_close(grids[0].scale.detach().view(-1), grid_of(low, high, spec).scale.view(-1))
    torch.testing.assert_close(grids[1].scale, 2 * grids[0].scale)


@pytest.mark.parametrize("axis", [None, 0])
def test_every_channel_of_weights_learns_its_own_step(axis: int | None) -> None:
    weight = weights().double()
    quantizer = WeightStepQuantizer(QuantSpec(3, symmetric=True, axis=axis), 6 if axis == 0 else 1).double()
    quantizer.set_range(-0.6, 0.6)

    quantizer.rounded(*quantizer.folded(weight, ones(weight).double())).square().sum().backward()

    rows = weight.flatten(1) if axis == 0 else weight.view(1, -1)
    step = float(quantizer.step.detach()[0])
    for row, gradient in zip(rows.tolist(), quantizer.step.grad.tolist(), strict=True):
        found = [lsq(value, step, -4, 3) for value in row]
        expected = sum(2 * value * slope for value, _, slope in found) / math.sqrt(len(row) * 3)
        assert gradient == pytest.approx(expected, rel=1e-5)


def test_a_learned_power_of_two_is_the_nearest_and_learns_as_any_step() -> None:
    x = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    gradients = []
    for step, scale in ((0.25, "float"), (0.19, "power_of_two"), (0.34, "power_of_two")):
        quantizer = StepQuantizer(QuantSpec(4, scale=scale))
        with torch.no_grad():
            quantizer.step.fill_(step)
        quantizer(x).sum().backward()
        assert float(quantizer.grid().scale.detach()) == 0.25
        gradients.append(float(quantizer.step.grad))

    assert gradients[0] != 0
    assert gradients[1:] == gradients[:1] * 2


def test_a_step_that_learning_took_below_zero_still_rounds() -> None:
    x = torch.randn(1, 40, generator=torch.Generator().manual_seed(0))
    quantizer = StepQuantizer(QuantSpec(4, symmetric=True))
    results = []
    for step in (0.3, -0.3):
        with torch.no_grad():
            quantizer.step.fill_(step)
        results.append(quantizer(x).detach())

    assert torch.equal(*results)


def quantizers(scheme: str, bits: int, rounding: Rounding) -> list[Quantizer | WeightRounding]:
    """Those of maps and of weights, at scales of both kinds where the scheme has them."""
    found: list[Quantizer | WeightRounding] = []
    for scale in ("float",) if scheme == "dorefa" else ("float", "power_of_two"):
        maps = QuantSpec(bits, signed=False, scale=scale, rounding=rounding)
        kernel = QuantSpec(bits, symmetric=True, axis=0, scale=scale, rounding=rounding)
        if scheme == "dorefa":
            maps, kernel = dorefa_maps(maps), dorefa_weights(kernel, most=8)
        found += [image_quantizer(maps), map_quantizer(scheme, maps), weight_quantizer(scheme, kernel, 6)]
    return found


@pytest.mark.parametrize(("scheme", "bits", "rounding"), list(product(SCHEMES, BITS, ROUNDINGS)))
def test_codes_reproduce_forward(scheme: str, bits: int, rounding: Rounding) -> None:
    x = torch.cat([weights(), torch.arange(-48, 48).view(6, 4, 2, 2).repeat(1, 1, 1, 2)[:, :, :, :3] / 16], 2)
    for quantizer in quantizers(scheme, bits, rounding):
        if not isinstance(quantizer, DorefaWeights):
            quantizer.eval().set_range(-1.2, 1.5)
        spec, (codes, grid) = quantizer.spec, quantizer.codes(x)

        assert spec.low <= int(codes.min()) < int(codes.max()) <= spec.high
        assert torch.equal(from_codes(codes.float(), grid, spec), quantizer(x))
        if isinstance(quantizer, WeightRounding):
            folded, grid = quantizer.folded(x, 1.5 * ones(x))
            assert torch.equal(from_codes(to_codes(folded, grid, spec), grid, spec), quantizer.rounded(folded, grid))


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize(
    ("scheme", "target"), [("dorefa", "onnxruntime"), ("lsq", "openvino"), ("lsq", "fpga"), ("google", "fpga")]
)
def test_whole_numbers_of_a_network_reproduce_its_sums(
    tiny: Callable[..., Graph], quantize: Callable[..., QuantizedNetwork], scheme: str, target: str, bits: int
) -> None:
    kernel, maps = replace(TARGETS[target].weights, bits=bits), replace(TARGETS[target].activations, bits=bits)
    network = quantize(tiny(*SECTIONS[:4], LEAKY), Placement(target, scheme, kernel, maps), "mse")
    images = torch.rand(1, *network.graph.input_shape, generator=torch.Generator().manual_seed(5))
    reads: dict[str, torch.Tensor] = {}
    sums: dict[str, torch.Tensor] = {}
    for name, conv in network.folded_convs().items():
        conv.register_forward_pre_hook(lambda _, inputs, name=name: reads.update({name: inputs[0]}))
        conv.sums.register_forward_hook(lambda _, inputs, y, name=name: sums.update({name: y}))

    with torch.no_grad():
        network(images)

    for name, conv in network.folded_convs().items():
        weight, bias = conv.kernel()
        codes, grid = conv.source.codes(reads[name])
        whole = (codes - grid.zero_point.int()).double()
        found = conv.convolved(whole, weight.integers.double(), bias.integers.double())
        found *= bias.grid.scale.detach().double().view(-1, 1, 1)
        torch.testing.assert_close(found.float(), sums[name], rtol=0, atol=2e-6 * float(found.abs().max()))


def test_the_sums_of_dorefa_begin_at_0_where_the_activation_makes_nothing_of_less(tiny: Callable[..., Graph]) -> None:
    plan = place(tiny(*SECTIONS), Placement(scheme="dorefa"))

    assert {name: spec.symmetric for name, spec in plan.before.items()} == {
        "000_convolutional": True,
        "004_convolutional": False,
        "005_convolutional": True,
    }
    assert all(spec == dorefa_maps(spec) for name, spec in plan.scales.items())


@pytest.mark.parametrize(
    ("target", "powers", "error", "message"),
    [
        (
            "onnxruntime",
            True,
            RecipeError,
            "scales of its own, which are no powers of two: take google or lsq",
        ),
        ("fpga", False, RecipeError, "scales of its own, which are no powers of two: take google or lsq"),
        ("tensorrt", False, TargetError, "dorefa gives codes from 0 on, tensorrt has codes around 0: take lsq"),
    ],
)
def test_targets_that_dorefa_is_not_for_are_refused(
    tiny: Callable[..., Graph], target: str, powers: bool, error: type[Exception], message: str
) -> None:
    kernel = QuantSpec(symmetric=True, axis=0, scale="power_of_two") if powers else None

    with pytest.raises(error, match=message):
        place(tiny(LEAKY), Placement(target, "dorefa", kernel))


def test_a_rounding_that_a_target_lacks_is_refused_with_those_that_have_it(tiny: Callable[..., Graph]) -> None:
    maps = QuantSpec(signed=False, rounding="half_away")

    with pytest.raises(TargetError, match=r"onnxruntime rounds half_even, asked for half_away: .* --for \(fpga\)"):
        place(tiny(LEAKY), Placement(activations=maps))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_first_and_last_layers_have_eight_bits_where_asked_for(tiny: Callable[..., Graph], scheme: str) -> None:
    few = Placement("onnxruntime", scheme, QuantSpec(4, symmetric=True, axis=0), QuantSpec(4, signed=False))
    ends = Placement("onnxruntime", scheme, few.weights, few.activations, ends_at_8=True)
    graph = tiny(LEAKY, RELU, LEAKY)

    plans = [place(graph, asked) for asked in (few, ends)]

    assert [[spec.bits for spec in plan.kernels.values()] for plan in plans] == [[4, 4, 4, 4], [8, 4, 4, 8]]
    assert [[spec.bits for spec in plan.scales.values()] for plan in plans] == [[8, 4, 4, 4], [8, 4, 4, 8]]
    assert {spec.bits for plan in plans for spec in plan.before.values()} == {8}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_plan_of_any_scheme_is_read_back_as_it_was_written(tiny: Callable[..., Graph], scheme: Scheme) -> None:
    graph = tiny(*SECTIONS)
    plan = place(graph, Placement(scheme=scheme, weights=QuantSpec(4, symmetric=True, axis=0)))

    assert from_metadata(json.loads(json.dumps(to_metadata(plan))), graph, "my.safetensors") == plan


def test_a_scheme_that_is_not_known_is_refused(tiny: Callable[..., Graph]) -> None:
    graph = tiny(LEAKY)
    written = {**to_metadata(place(graph, Placement())), "scheme": "pact"}

    with pytest.raises(WeightsError, match="its scheme is pact, known are google, dorefa, lsq; upgrade yoloslim"):
        from_metadata(written, graph, "my.safetensors")


@pytest.mark.parametrize("scheme", ["dorefa", "lsq"])
def test_a_learned_scheme_without_training_is_refused(
    tiny: Callable[..., Graph], random_network, scheme: Scheme
) -> None:
    table = QuantizeTable(scheme=scheme)

    with pytest.raises(
        RecipeError, match=f"scheme: {scheme} is learned: train --quantize {scheme}, mode = qat in a recipe"
    ):
        quantize_network(random_network(tiny(LEAKY)), table, [torch.zeros(1, 3, 16, 16)])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_tensor_of_a_scheme_learns(tiny: Callable[..., Graph], quantize, scheme: str) -> None:
    network = quantize(tiny(LEAKY, RELU, LEAKY), Placement(scheme=scheme)).train()
    images = torch.rand(2, *network.graph.input_shape, generator=torch.Generator().manual_seed(5))

    sum(head.square().mean() for head in network(images)).backward()

    steps = [name for name, _ in network.named_parameters() if name.endswith("step")]
    assert len(steps) == (9 if scheme == "lsq" else 0)
    for name, parameter in network.named_parameters():
        assert bool(torch.isfinite(parameter.grad).all()), name
        assert float(parameter.grad.abs().sum()) > 0, name
