"""Files that are either the old one or the new one, never half of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from yoloslim.errors import WeightsError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Gives a name beside ``path`` to write to; moves it to ``path`` when the block ends without an error.

    Raises:
        WeightsError: the file cannot be written.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.touch()
        yield temporary
        temporary.replace(target)
    except OSError as error:
        raise WeightsError(f"{path}: cannot write this file: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()
