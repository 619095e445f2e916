"""Layers against what they are said to compute, written out by hand on small maps."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from yoloslim.graph.ops import (
    AvgPool,
    Convolution,
    Depthwise,
    Dropout,
    Op,
    Route,
    ScaleChannels,
    Shape,
    Shortcut,
    SqueezeExcite,
    Upsample,
)
from yoloslim.nn.build import build_module


def run(op: Op, *inputs: Tensor) -> Tensor:
    shapes = [Shape(*x.shape[1:]) for x in inputs]
    with torch.inference_mode():
        result: Tensor = build_module(op, shapes).double().eval()(*inputs)
    return result


def random_map(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(1, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_a_convolution_is_normalised_then_activated() -> None:
    block = build_module(Convolution(2, batch_norm=True, activation="relu"), [Shape(1, 2, 2)]).double().eval()
    block.load_state_dict(
        {
            "conv.weight": torch.tensor([2.0, -1.0]).view(2, 1, 1, 1),
            "norm.weight": torch.tensor([3.0, 1.0]),
            "norm.bias": torch.tensor([0.5, 0.0]),
            "norm.running_mean": torch.tensor([1.0, 0.0]),
            "norm.running_var": torch.tensor([4.0, 1.0]),
        },
        strict=False,
    )
    x = torch.tensor([[1.0, 2.0], [0.0, -3.0]], dtype=torch.float64).view(1, 1, 2, 2)

    with torch.inference_mode():
        found = block(x)

    expected = torch.stack([(2 * x[0, 0] - 1) / 2 * 3 + 0.5, -x[0, 0]]).clamp(min=0)
    torch.testing.assert_close(found[0], expected, rtol=0, atol=1e-5)


def test_a_dilated_convolution_is_padded_by_its_pad_times_the_dilation() -> None:
    assert run(Convolution(2, size=3, pad=1, dilation=3), random_map(1, 7, 8)).shape == (1, 2, 7, 8)


def test_strides_across_and_down_of_a_convolution_are_told_apart() -> None:
    assert run(Convolution(1, stride_x=3, stride_y=2), random_map(1, 6, 6)).shape == (1, 1, 3, 2)


def test_a_depthwise_section_sees_one_channel_at_a_time() -> None:
    x, op = random_map(3, 5, 5), Depthwise(3, size=3, pad=1, activation="linear")
    torch.manual_seed(0)
    block = build_module(op, [Shape(3, 5, 5)]).double().eval()
    other = x.clone()
    other[:, 1] += 1
    with torch.inference_mode():
        changed = (block(x) != block(other)).flatten(2).any(2)[0]
    assert changed.tolist() == [False, True, False]


def test_a_shortcut_adds_shorter_maps_to_the_front_and_the_front_of_longer_ones() -> None:
    a, b, c = random_map(3, 2, 2), random_map(2, 2, 2, seed=1), random_map(5, 2, 2, seed=2)
    found = run(Shortcut("leaky"), a, b, c)
    expected = [a[0, 0] + b[0, 0] + c[0, 0], a[0, 1] + b[0, 1] + c[0, 1], a[0, 2] + c[0, 2]]
    torch.testing.assert_close(found[0], F.leaky_relu(torch.stack(expected), 0.1))


@pytest.mark.parametrize("group_id", [0, 1])
def test_a_route_joins_the_same_part_of_each_input(group_id: int) -> None:
    a, b = random_map(4, 2, 2), random_map(2, 2, 2, seed=1)
    found = run(Route(2, group_id), a, b)
    first = 2 * group_id
    assert torch.equal(found, torch.cat([a[:, first : first + 2], b[:, group_id : group_id + 1]], 1))


def test_channels_are_scaled_by_the_first_input_and_activated() -> None:
    scales, x = random_map(3, 1, 1), random_map(3, 2, 2, seed=1)
    assert torch.equal(run(ScaleChannels("relu"), scales, x), (scales * x).clamp(min=0))


def test_cells_are_scaled_by_the_first_input() -> None:
    scales, x = random_map(1, 2, 3), random_map(4, 2, 3, seed=1)
    assert torch.equal(run(ScaleChannels("linear", spatial=True), scales, x), scales * x)


def test_an_upsampling_repeats_and_scales_every_value() -> None:
    x = random_map(2, 2, 3)
    found = run(Upsample(3, 0.5), x)
    assert torch.equal(found, x.repeat_interleave(3, 2).repeat_interleave(3, 3) * 0.5)


def test_an_average_is_taken_over_the_whole_map() -> None:
    x = random_map(2, 3, 5)
    torch.testing.assert_close(run(AvgPool(), x).flatten(), torch.stack([x[0, 0].mean(), x[0, 1].mean()]))


def test_dropout_does_nothing_in_evaluation() -> None:
    x = random_map(2, 3, 3)
    assert torch.equal(run(Dropout(0.9), x), x)


def test_channels_are_rescaled_by_a_hard_sigmoid_of_a_perceptron_of_their_means() -> None:
    x, block = random_map(3, 4, 4), build_module(SqueezeExcite(2), [Shape(3, 4, 4)]).double().eval()
    squeeze, excite = (tensor[:, :, 0, 0] for tensor in block.state_dict().values())
    hidden = (squeeze @ x[0].mean((1, 2))).clamp(min=0)
    scales = ((excite @ hidden + 3) / 6).clamp(0, 1)
    with torch.inference_mode():
        torch.testing.assert_close(block(x)[0], x[0] * scales.view(3, 1, 1))
