"""Max-pooling against Darknet's loops (maxpool_layer.c), written here as loops."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.ops import MaxPool, Shape
from yoloslim.graph.shapes import infer_shapes, output_shape
from yoloslim.nn.layers.resample import MaxPoolBlock

NET = "[net]\nwidth={0}\nheight={1}\nchannels=2\n[maxpool]\n"


def darknets_max_pool(x: np.ndarray, op: MaxPool) -> np.ndarray:
    """Largest value of each window of x, shape (C, H, W); cells outside of the map are passed over."""
    channels, height, width = x.shape
    offset = -(op.padding // 2)
    rows = (height + op.padding - op.size) // op.stride_y + 1
    columns = (width + op.padding - op.size) // op.stride_x + 1
    result = np.full((channels, rows, columns), -np.inf)
    for c, i, j, n, m in np.ndindex(channels, rows, columns, op.size, op.size):
        y, z = offset + i * op.stride_y + n, offset + j * op.stride_x + m
        if 0 <= y < height and 0 <= z < width:
            result[c, i, j] = max(result[c, i, j], x[c, y, z])
    return result


@st.composite
def pools(draw: st.DrawFn) -> tuple[MaxPool, Shape]:
    size = draw(st.integers(1, 6))
    padding = draw(st.integers(0, 2 * (size - 1)))  # every window still reaches the map
    op = MaxPool(size, draw(st.integers(1, 4)), draw(st.integers(1, 4)), padding)
    side = st.integers(max(1, size - padding), 9)
    return op, Shape(2, draw(side), draw(side))


@given(pools(), st.integers(0, 99))
def test_pooling_is_darknets(case: tuple[MaxPool, Shape], seed: int) -> None:
    op, shape = case
    x = np.random.default_rng(seed).normal(size=shape) - 3  # mostly negative: zeros beside the map would win

    found = MaxPoolBlock(op)(torch.from_numpy(x)[None])[0].numpy()

    np.testing.assert_array_equal(found, darknets_max_pool(x, op))
    assert found.shape == tuple(output_shape(op, [shape]))


@pytest.mark.parametrize("side", [5, 6, 7])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("size=2\nstride=2", lambda side: (side + 1) // 2),
        ("size=2\nstride=1", lambda side: side),
        ("size=3\nstride=2", lambda side: (side + 1) // 2),
        ("size=5\nstride=1", lambda side: side),
        ("size=13\nstride=1", lambda side: side),
        ("stride=2", lambda side: (side + 1) // 2),
        ("size=2\nstride=2\npadding=0", lambda side: side // 2),
        ("size=3\nstride=2\npadding=0", lambda side: (side - 1) // 2),
    ],
)
def test_the_sections_of_published_networks_give_maps_of_the_expected_size(side: int, options: str, expected) -> None:
    graph = parse_cfg(NET.format(side, side) + options)
    op = graph.nodes[0].op
    x = torch.randn(1, 2, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    assert isinstance(op, MaxPool)
    assert infer_shapes(graph)["000_maxpool"] == (2, expected(side), expected(side))
    np.testing.assert_array_equal(MaxPoolBlock(op)(x)[0], darknets_max_pool(x[0].numpy(), op))


def test_size_two_stride_one_looks_right_and_down() -> None:
    x = torch.arange(9.0).view(1, 1, 3, 3)
    assert MaxPoolBlock(MaxPool(2, 1, 1, 1))(x).tolist() == [[[[4, 5, 5], [7, 8, 8], [7, 8, 8]]]]


def test_strides_across_and_down_are_told_apart() -> None:
    assert MaxPoolBlock(MaxPool(2, stride_x=2, stride_y=1, padding=1))(torch.zeros(1, 1, 6, 6)).shape == (1, 1, 6, 3)
