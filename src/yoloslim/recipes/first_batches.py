"""The first batches of a training, to look at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from yoloslim.data.pictures import write_picture
from yoloslim.engine.task import Batch
from yoloslim.report.batch_sheet import batch_sheet

_SHEETS = 3


def with_sheets(batches: Iterable[Batch], first: int, folder: Path, names: Sequence[str]) -> Iterator[Batch]:
    """Gives the batches of the first epoch, and writes the first three of it as ``batch-1.jpg`` to ``batch-3.jpg``.

    Args:
        first: the batch of the epoch that comes first, from 0.
    """
    for number, batch in enumerate(batches, start=first + 1):
        if number <= _SHEETS:
            sheet = batch_sheet(batch.images.numpy(), batch.targets.numpy(), names)
            write_picture(folder / f"batch-{number}.jpg", sheet)
        yield batch
