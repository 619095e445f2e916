"""Layers of AlexeyAB's Darknet against its loops, written here as loops (shortcut, maxpool, dropout layers)."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.ops import Crop, Dropout, LocalAvgPool, MaxPool, MaxPoolDepth, Op, Sam, Shape, Shortcut
from yoloslim.nn.build import build_module
from yoloslim.nn.layers.blur import BlurBlock
from yoloslim.nn.network import Network

NET = "[net]\nwidth=8\nheight=8\nchannels=3\n"


def run(op: Op, *maps: np.ndarray, **tensors: np.ndarray) -> np.ndarray:
    """Gives what the module of an op makes of maps of shape (C, H, W)."""
    module = build_module(op, [Shape(*x.shape) for x in maps]).double().eval()
    module.load_state_dict({name: torch.from_numpy(values) for name, values in tensors.items()})
    with torch.inference_mode():
        return module(*(torch.from_numpy(x)[None] for x in maps))[0].numpy()


def random_map(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


# ---- pooling ---------------------------------------------------------------------------------------------------------


def darknets_mean(x: np.ndarray, op: LocalAvgPool) -> np.ndarray:
    channels, height, width = x.shape
    offset = -(op.padding // 2)
    rows = (height + op.padding - op.size) // op.stride_y + 1
    columns = (width + op.padding - op.size) // op.stride_x + 1
    sums, counts = np.zeros((channels, rows, columns)), np.zeros((channels, rows, columns))
    for c, i, j, n, m in np.ndindex(channels, rows, columns, op.size, op.size):
        y, z = offset + i * op.stride_y + n, offset + j * op.stride_x + m
        if 0 <= y < height and 0 <= z < width:
            sums[c, i, j] += x[c, y, z]
            counts[c, i, j] += 1
    return sums / counts


@given(size=st.integers(1, 5), strides=st.tuples(st.integers(1, 3), st.integers(1, 3)), data=st.data())
def test_a_local_mean_counts_only_the_cells_of_the_map(
    size: int, strides: tuple[int, int], data: st.DataObject
) -> None:
    op = LocalAvgPool(size, *strides, data.draw(st.integers(0, 2 * size - 2)))
    side = st.integers(max(1, size - op.padding), 7)
    x = random_map(2, data.draw(side), data.draw(side))

    np.testing.assert_allclose(run(op, x), darknets_mean(x, op), atol=1e-12)


@pytest.mark.parametrize("out_channels", [1, 2, 3, 5, 7])
def test_a_pool_over_channels_takes_the_largest_of_every_nth(out_channels: int) -> None:
    x = random_map(7, 3, 2) - 5

    found = run(MaxPoolDepth(out_channels), x)

    assert found.shape == (out_channels, 3, 2)
    for g in range(out_channels):
        np.testing.assert_array_equal(found[g], x[g::out_channels].max(0))


def darknets_blur(x: np.ndarray, side: int, strides: tuple[int, int]) -> np.ndarray:
    kernel = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16 if side == 3 else np.full((2, 2), 1 / 4)
    pad = side // 2 if side == 3 else 0
    channels, height, width = x.shape
    rows, columns = ((n + 2 * pad - side) // s + 1 for n, s in zip((height, width), strides, strict=True))
    result = np.zeros((channels, rows, columns))
    for c, i, j, n, m in np.ndindex(channels, rows, columns, side, side):
        y, z = i * strides[0] + n - pad, j * strides[1] + m - pad
        if 0 <= y < height and 0 <= z < width:
            result[c, i, j] += kernel[n, m] * x[c, y, z]
    return result


@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (2, 3)])
@pytest.mark.parametrize("side", [2, 3])
def test_a_blur_is_darknets_depthwise_layer(side: int, strides: tuple[int, int]) -> None:
    x = random_map(3, 7, 8)

    with torch.inference_mode():
        found = BlurBlock(side, strides)(torch.from_numpy(x)[None])[0].numpy()

    np.testing.assert_allclose(found, darknets_blur(x, side, strides), atol=1e-12)


def test_the_strides_of_a_pool_with_a_blur_are_the_blurs() -> None:
    x = random_map(3, 6, 8)

    found = run(MaxPool(2, 2, 2, 1, blur=3), x)

    np.testing.assert_allclose(found, darknets_blur(run(MaxPool(2, 1, 1, 1), x), 3, (2, 2)), atol=1e-12)


@pytest.mark.parametrize("antialiasing", [1, 2])
def test_the_blur_of_a_convolution_lies_behind_its_activation(antialiasing: int) -> None:
    conv = "[convolutional]\nfilters=4\nsize=3\npad=1\nactivation=leaky\n"
    sharp, blurred = (
        Network(parse_cfg(NET + conv + more)).double() for more in ("", f"stride=2\nantialiasing={antialiasing}\n")
    )
    blurred.load_state_dict(sharp.state_dict())
    x = torch.from_numpy(random_map(1, 3, 8, 8))

    with torch.inference_mode():
        full, found = (network.get_submodule("000_convolutional")(x)[0].numpy() for network in (sharp, blurred))

    np.testing.assert_allclose(found, darknets_blur(full, 4 - antialiasing, (2, 2)), atol=1e-12)


# ---- joining ---------------------------------------------------------------------------------------------------------


def darknets_weighted_sum(maps: list[np.ndarray], weights: np.ndarray, normalization: str) -> np.ndarray:
    """shortcut_multilayer_cpu: ``weights`` is flat, as it stands in the file."""
    channels = maps[0].shape[0]
    step = len(weights) // len(maps)  # 1 or the channels
    result = np.zeros_like(maps[0])
    for c in range(channels):
        own = [float(weights[i * step + (c if step > 1 else 0)]) for i in range(len(maps))]
        if normalization == "relu":
            own = [max(w, 0.0) for w in own]
            own = [w / (1e-4 + sum(own)) for w in own]
        if normalization == "softmax":
            own = [np.exp(w - max(own)) for w in own]
            own = [w / (1e-4 + sum(own)) for w in own]
        for x, w in zip(maps, own, strict=True):
            if c < x.shape[0]:
                result[c] += w * x[c]
    return result


@pytest.mark.parametrize("normalization", ["none", "relu", "softmax"])
@pytest.mark.parametrize("weights", ["per_feature", "per_channel"])
def test_a_weighted_shortcut_is_darknets(weights: str, normalization: str) -> None:
    maps = [random_map(count, 2, 3, seed=count) for count in (4, 2, 6)]
    values = random_map(*((3,) if weights == "per_feature" else (3, 4)), seed=9)

    found = run(Shortcut("linear", weights, normalization), *maps, weights=values)

    np.testing.assert_allclose(found, darknets_weighted_sum(maps, values.ravel(), normalization), atol=1e-12)


def test_a_shortcut_samples_a_larger_map_as_darknet_does() -> None:
    """shortcut_cpu, with ``stride`` cells of the other map to one of the first."""
    first, other, stride = random_map(3, 2, 3), random_map(2, 4, 6, seed=1), 2

    found = run(Shortcut(), first, other)

    expected = first.copy()
    for k, j, i in np.ndindex(2, 2, 3):
        expected[k, j, i] += other[k, j * stride, i * stride]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("normalization", ["none", "relu", "softmax"])
def test_fresh_weights_of_a_shortcut_are_all_one(normalization: str) -> None:
    block = build_module(Shortcut("linear", "per_channel", normalization), [Shape(2, 1, 1)] * 2)
    x = torch.tensor([[1.0, 2.0]]).view(1, 2, 1, 1)

    with torch.inference_mode():
        total = block(x, x).flatten()

    torch.testing.assert_close(
        total, torch.tensor([1.0, 2.0]) * (2 if normalization == "none" else 1), rtol=2e-4, atol=0
    )


def test_a_product_is_activated() -> None:
    a, b = random_map(2, 3, 3), random_map(2, 3, 3, seed=1)
    np.testing.assert_array_equal(run(Sam("relu"), a, b), np.maximum(a * b, 0))


@pytest.mark.parametrize("scaled", [False, True])
def test_a_crop_is_the_middle(scaled: bool) -> None:
    x = random_map(2, 5, 8)
    middle = x[:, 1:4, 2:6]
    np.testing.assert_array_equal(run(Crop(3, 4, scaled), x), middle * 2 - 1 if scaled else middle)


# ---- weights of another layer ----------------------------------------------------------------------------------------

SHARED = (
    NET
    + "[convolutional]\nbatch_normalize=1\nfilters=3\nsize=3\npad=1\nactivation=leaky\n"
    + "[convolutional]\nbatch_normalize=1\nfilters=3\nsize=3\npad=1\nstride=2\nactivation=linear\nshare_index=0\n"
)


def test_a_convolution_with_the_weights_of_another_has_strides_and_an_activation_of_its_own() -> None:
    network = Network(parse_cfg(SHARED)).double().eval()
    owner, sharer = network.get_submodule("000_convolutional"), network.get_submodule("001_convolutional")
    x = torch.from_numpy(random_map(1, 3, 8, 8))

    with torch.inference_mode():
        expected = owner.norm(owner.conv(x))[:, :, ::2, ::2]
        found = sharer(x)

    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_a_convolution_with_the_weights_of_another_has_no_tensors() -> None:
    network = Network(parse_cfg(SHARED))

    assert {name.partition(".")[0] for name in network.state_dict()} == {"000_convolutional"}
    assert len(list(network.parameters())) == 3


def test_a_copy_of_a_network_shares_its_own_weights() -> None:
    network = Network(parse_cfg(SHARED)).eval()
    copied = copy.deepcopy(network)
    x = torch.rand(1, 3, 8, 8)

    with torch.inference_mode():
        before = network.get_submodule("001_convolutional")(x)
        copied.get_submodule("000_convolutional").conv.weight.zero_()
        after = network.get_submodule("001_convolutional")(x)
        silent = copied.get_submodule("001_convolutional")(x)

    torch.testing.assert_close(after, before)
    assert (silent == silent[:, :, :1, :1]).all()


def test_shared_weights_learn_from_both_layers() -> None:
    network = Network(parse_cfg(SHARED)).double()
    owner, sharer = network.get_submodule("000_convolutional"), network.get_submodule("001_convolutional")
    x = torch.from_numpy(random_map(1, 3, 8, 8))

    gradients = [torch.autograd.grad(block(x).square().sum(), owner.conv.weight)[0] for block in (owner, sharer)]
    both = torch.autograd.grad(owner(x).square().sum() + sharer(x).square().sum(), owner.conv.weight)[0]

    torch.testing.assert_close(both, gradients[0] + gradients[1])


# ---- dropping blocks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "side"), [(Dropout(0.2, block_cells=3), 3), (Dropout(0.2, block_share=0.25), 4), (Dropout(0.2, 99), 16)]
)
def test_blocks_are_whole_squares_within_the_map(op: Dropout, side: int) -> None:
    torch.manual_seed(0)
    dropped = build_module(op, [Shape(64, 16, 16)]).train()(torch.ones(2, 64, 16, 16)) == 0

    assert dropped.any()
    corners = torch.nn.functional.avg_pool2d(dropped.float(), side, stride=1) == 1  # squares that are missing whole
    covered = torch.nn.functional.max_pool2d(
        torch.nn.functional.pad(corners.float(), (side - 1,) * 4), side, stride=1
    ).bool()
    assert (covered == dropped).all()


def test_about_the_probability_of_cells_is_dropped_and_the_sum_stays() -> None:
    torch.manual_seed(0)
    x = torch.ones(4, 64, 32, 32)

    found = build_module(Dropout(0.1, block_cells=5), [Shape(64, 32, 32)]).train()(x)

    assert 0.07 < float((found == 0).float().mean()) < 0.13
    assert float(found.mean()) == pytest.approx(1, rel=1e-5)


def test_nothing_is_dropped_outside_of_training() -> None:
    x = torch.rand(1, 2, 4, 4)
    assert build_module(Dropout(0.5, block_cells=2), [Shape(2, 4, 4)]).eval()(x) is x
