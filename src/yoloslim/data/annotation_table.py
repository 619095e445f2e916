"""The annotations of many pictures as a few arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yoloslim.boxes.annotation import Annotation


@dataclass(frozen=True, slots=True)
class AnnotationTable:
    """The boxes of many pictures, one picture after the other: quick to store, and worked on all at once.

    Forked processes share it, which they would not share 100,000 small objects.

    Attributes:
        boxes: shape (M, 4), float32, xyxy, pixels of their picture.
        class_ids: shape (M,), int64, from 0.
        difficult: shape (M,), bool.
        starts: shape (N + 1,), int64: the boxes of picture ``i`` are those from ``starts[i]`` to ``starts[i + 1]``.
    """

    boxes: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    difficult: NDArray[np.bool_]
    starts: NDArray[np.int64]

    def __post_init__(self) -> None:
        count = int(self.starts[-1])
        expected = {"boxes": (count, 4), "class_ids": (count,), "difficult": (count,)}
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"AnnotationTable.{name}: expected shape {shape}, found {getattr(self, name).shape}")
        if self.starts[0] != 0 or (np.diff(self.starts) < 0).any():
            raise ValueError("AnnotationTable.starts: expected numbers that rise from 0")

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> Annotation:
        rows = slice(self.starts[index], self.starts[index + 1])
        return Annotation(self.boxes[rows], self.class_ids[rows], self.difficult[rows])

    @property
    def counts(self) -> NDArray[np.int64]:
        """The number of boxes of each picture, shape (N,)."""
        return np.diff(self.starts)

    @property
    def pictures(self) -> NDArray[np.int64]:
        """The picture of each box, shape (M,)."""
        return np.repeat(np.arange(len(self)), self.counts)

    @staticmethod
    def of(annotations: Sequence[Annotation]) -> AnnotationTable:
        """Gives annotations as a table, in their order."""
        none = Annotation.empty()
        rows = [none, *annotations]
        return AnnotationTable(
            np.concatenate([row.boxes for row in rows]),
            np.concatenate([row.class_ids for row in rows]),
            np.concatenate([row.difficult for row in rows]),
            np.cumsum([len(row) for row in rows]),
        )

    def keep(self, kept: NDArray[np.bool_]) -> AnnotationTable:
        """Gives the table with the boxes of ``kept``, shape (M,), alone; every picture stays."""
        starts = np.concatenate([[0], np.cumsum(kept)])[self.starts]
        return AnnotationTable(self.boxes[kept], self.class_ids[kept], self.difficult[kept], starts)

    def take(self, pictures: NDArray[np.int64]) -> AnnotationTable:
        """Gives the table of these pictures, in their order."""
        counts = self.counts[pictures]
        starts = np.concatenate([[0], np.cumsum(counts)])
        rows = np.arange(starts[-1]) + np.repeat(self.starts[pictures] - starts[:-1], counts)
        return AnnotationTable(self.boxes[rows], self.class_ids[rows], self.difficult[rows], starts)


def stacked(tables: Sequence[AnnotationTable]) -> AnnotationTable:
    """Gives the pictures of several tables as one, in their order."""
    ends = np.cumsum([table.starts[-1] for table in tables])
    offsets = [0, *ends[:-1].tolist()]
    starts = [table.starts[1:] + offset for table, offset in zip(tables, offsets, strict=True)]
    return AnnotationTable(
        np.concatenate([table.boxes for table in tables]),
        np.concatenate([table.class_ids for table in tables]),
        np.concatenate([table.difficult for table in tables]),
        np.concatenate([[0], *starts]),
    )
