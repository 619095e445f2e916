"""Files of weights, opened: what cannot be read is told in one way, whatever the format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from yoloslim.errors import WeightsError


@contextmanager
def open_weights(path: str | Path, expected: str = "a weights file") -> Iterator[BinaryIO]:
    """Opens a file to read its bytes.

    Args:
        expected: what it should be, as a message says it.

    Raises:
        WeightsError: it is missing, a folder, or cannot be read, now or within the block.
    """
    try:
        with Path(path).open("rb") as file:
            yield file
    except IsADirectoryError:
        raise WeightsError(f"{path}: expected {expected}, found a folder: name the file in it") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot read this file: {error.strerror}") from error
