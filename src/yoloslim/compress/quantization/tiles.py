"""Weights in the order in which an accelerator with parallel multipliers reads them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Tile(NamedTuple):
    """Channels that are computed at once.

    Attributes:
        outputs: output channels.
        inputs: input channels of one group.
    """

    outputs: int = 1
    inputs: int = 1

    def within(self, shape: tuple[int, ...]) -> Tile:
        """Gives a tile no larger than weights of that shape, (O, I, k, k)."""
        return Tile(min(self.outputs, shape[0]), min(self.inputs, shape[1]))


PLAIN = Tile()
"""One weight after the other: output, input, row, column."""


def tiled(weight: NDArray[np.int8], tile: Tile) -> NDArray[np.int8]:
    """Gives weights, shape (O, I, k, k), tile by tile, shape (O / outputs, I / inputs, k, k, outputs, inputs).

    Channels that the last tiles lack are 0. ``PLAIN`` leaves the order as it is.
    """
    outputs, inputs = tile
    rest = [(0, -count % side) for count, side in zip(weight.shape[:2], tile, strict=True)]
    padded = np.pad(weight, (*rest, (0, 0), (0, 0)))
    rows, columns = padded.shape[0] // outputs, padded.shape[1] // inputs
    parts = padded.reshape(rows, outputs, columns, inputs, *weight.shape[2:])
    return np.ascontiguousarray(parts.transpose(0, 2, 4, 5, 1, 3))


def untiled(tiles: NDArray[np.int8], shape: tuple[int, ...]) -> NDArray[np.int8]:
    """Gives the weights of that shape, (O, I, k, k), whose tiles these are."""
    rows, columns, height, width, outputs, inputs = tiles.shape
    parts = tiles.transpose(0, 4, 1, 5, 2, 3).reshape(rows * outputs, columns * inputs, height, width)
    return np.ascontiguousarray(parts[: shape[0], : shape[1]])
