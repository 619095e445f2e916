"""What every backend of an exported file tells about it, and refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from yoloslim.errors import RecipeError, WeightsError


class ExportedBackend(Protocol):
    """Runs an exported file on the CPU: one input of a fixed size with a free batch.

    Attributes:
        metadata: of the file, text by key.
        input_shape: (channels, height, width).
        outputs: names and shapes without the batch, in the order of the file.
    """

    metadata: Mapping[str, str]
    input_shape: tuple[int, ...]
    outputs: Mapping[str, tuple[int, ...]]

    def __call__(self, batch: NDArray[np.float32], /) -> Sequence[NDArray[np.float32]]:
        """Gives one head map a head, (B, anchors, h, w, 5 + classes), for a batch (B, C, H, W), RGB in 0..1."""


def check_file(path: Path, kind: str) -> None:
    """Makes sure that a file is there.

    Args:
        kind: of file, for the message, as ``an ONNX file``.

    Raises:
        WeightsError: there is none, or it is a folder.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: expected {kind}, found {'a folder' if path.is_dir() else 'nothing'}")


def check_batch(batch: NDArray[np.float32], expected: tuple[int, ...], path: Path) -> None:
    """Makes sure that pictures are of the size that a file takes, (channels, height, width).

    Raises:
        RecipeError: they are not.
    """
    if batch.shape[1:] != expected:
        sizes = ["x".join(map(str, shape)) for shape in (expected, batch.shape[1:])]
        text = f"expected pictures of channels x height x width {sizes[0]}, found {sizes[1]}"
        raise RecipeError(f"{path}: {text}; export it again with --size")
