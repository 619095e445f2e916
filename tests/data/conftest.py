"""Small data sets, written for one test."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

WriteSet = Callable[..., Path]


@pytest.fixture(scope="session")
def write_set() -> WriteSet:
    """Gives the function that writes a data set."""
    return _write_set


def _write_set(
    folder: Path,
    count: int,
    *,
    boxes: int = 1,
    names: Sequence[str] = ("a", "b"),
    sizes: Sequence[tuple[int, int]] = ((80, 60),),
) -> Path:
    """Writes pictures, each of one colour that tells its number, with boxes of the classes in turn.

    Args:
        sizes: widths and heights of the pictures, in turn.
    """
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        width, height = sizes[number % len(sizes)]
        picture = np.full((height, width, 3), (number, 2 * number, 100), np.uint8)
        cv2.imwrite(str(folder / f"images/{number:02d}.png"), picture)
        (folder / f"labels/{number:02d}.txt").write_text(f"{number % len(names)} 0.5 0.5 0.5 0.25\n" * boxes)
    (folder / "data.yaml").write_text(f"train: images\nval: images\nnames: [{', '.join(names)}]\n")
    return folder
