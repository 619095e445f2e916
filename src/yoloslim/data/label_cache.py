"""Labels of earlier runs: a data set that has not changed is known without opening its files.

One file a data set, in the user's cache folder, because data sets are often shared or read-only. A sample is taken
from it only if picture and label file have the size and the time of change (nanoseconds) that they had before they
were read. A sample with problems is not kept: it is read and told each time.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from yoloslim.boxes.annotation import Annotation
from yoloslim.data.annotation_table import AnnotationTable, stacked
from yoloslim.data.dataset import Dataset, Sample
from yoloslim.data.scan import Scan
from yoloslim.downloads.remote import cache_folder
from yoloslim.errors import OutputError
from yoloslim.files import write_atomically

SETTLED_NS = 2_000_000_000
"""A file is trusted once it was left alone for so long: two changes within a tick of a disk's clock look like one."""

CHECKSUM_BYTES = 32  # before the rest of the file, so that only what was written whole is ever looked at
MISSING = (-1, -1)
NO_LABELS = (0, 0)
COLUMNS = ("boxes", "class_ids", "difficult", "starts")

SAMPLE_FIELDS = attrgetter(*(field.name for field in fields(Sample)))
"""Everything that decides what is read: the picture, its label file, and what else there may be to say."""

logger = logging.getLogger(__name__)


class LabelCache:
    """What earlier runs found in a data set.

    Args:
        dataset: the data set as it is now; its files are looked at, not opened.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._samples = [tuple(map(_text, SAMPLE_FIELDS(sample))) for sample in dataset.samples]
        stamps = [_stamp(picture) + (_stamp(labels) if labels else NO_LABELS) for picture, labels, *_ in self._samples]
        self._stamps = np.array(stamps, np.int64).reshape(-1, 4)  # size and time of the picture, of its label file
        self._path = cache_folder() / "labels" / f"{_digest(dataset, self._samples[0])}.labels"

    def load(self) -> Scan:
        """Gives what is still true of what earlier runs found; nothing where their file is missing or damaged."""
        try:
            content = self._path.read_bytes()
        except OSError:
            content = b""
        checksum, parts = content[:CHECKSUM_BYTES], content[CHECKSUM_BYTES:]
        if hashlib.sha256(parts).digest() != checksum:
            return Scan.of_nothing(len(self._samples))
        with np.load(io.BytesIO(parts), allow_pickle=False) as stored:
            return self._still_true(stored)

    def store(self, found: Scan, known: Scan) -> None:
        """Keeps what can be relied on for later runs; that its folder cannot be written is no error.

        Args:
            found: what is known now.
            known: what was known before; where nothing is added to it, its file stays as it is.
        """
        is_settled = (self._stamps[:, [1, 3]] < time.time_ns() - SETTLED_NS).all(axis=1)
        is_there = (self._stamps >= 0).all(axis=1)
        is_sound = np.array([not problems for problems in found.problems])
        is_reliable = found.is_known & is_there & is_settled & is_sound
        if not (is_reliable & ~known.is_known).any():
            return
        rows = np.flatnonzero(is_reliable)
        table = found.annotations.take(rows)
        content = {
            "samples": np.frombuffer(b"\0".join(text for row in rows for text in self._samples[row]), np.uint8),
            "stamps": self._stamps[rows],
            "sizes": found.sizes[rows],
            **{name: getattr(table, name) for name in COLUMNS},
        }
        parts = io.BytesIO()
        np.savez(parts, **content)
        try:
            with write_atomically(self._path) as temporary:
                temporary.write_bytes(hashlib.sha256(parts.getvalue()).digest() + parts.getvalue())
        except OutputError as error:
            logger.debug("labels are not kept for later runs: %s", error)

    def _still_true(self, stored: Mapping[str, NDArray[Any]]) -> Scan:
        texts = iter(stored["samples"].tobytes().split(b"\0"))
        table = AnnotationTable(*(stored[name] for name in COLUMNS))
        stamps, sizes = stored["stamps"], stored["sizes"]
        row_of = {sample: row for row, sample in enumerate(zip(*[texts] * len(self._samples[0]), strict=True))}
        rows = np.array([row_of.get(sample, -1) for sample in self._samples], np.int64)
        is_true = (rows >= 0) & (stamps[rows] == self._stamps).all(axis=1)
        rows = np.where(is_true, rows, len(table))  # one picture of which nothing is known is added at the end
        return Scan(
            np.concatenate([sizes, [[0, 0]]])[rows],
            stacked([table, AnnotationTable.of([Annotation.empty()])]).take(rows),
            ((),) * len(rows),
        )


def _text(value: object) -> bytes:
    """One field of a sample: a path is absolute; nothing stays empty."""
    return os.fsencode(os.path.abspath(value)) if isinstance(value, Path) else str(value or "").encode()  # noqa: PTH100


def _stamp(name: bytes) -> tuple[int, int]:
    try:
        status = os.stat(name)  # noqa: PTH116
    except OSError:
        return MISSING
    return status.st_size, status.st_mtime_ns


def _digest(dataset: Dataset, first: tuple[bytes, ...]) -> str:
    """Names the data set by what decides how its labels are read, and by its first sample; others may come and go."""
    reading = [dataset.format.name, list(dataset.label_names), dataset.single_class, cv2.__version__, np.__version__]
    return hashlib.sha256(json.dumps(reading).encode() + b"\0".join([_code(), *first])).hexdigest()[:32]


@functools.cache
def _code() -> bytes:
    """Gives a digest of the code that reads pictures and labels: what other code found may not hold for this one."""
    sources = sorted(Path(__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).digest()
