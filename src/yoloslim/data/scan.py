"""A look at every sample of a data set: which pictures can be read, how large they are, and what is in them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yoloslim.boxes.annotation import Annotation
from yoloslim.data.annotation_table import AnnotationTable, stacked
from yoloslim.data.annotations import Problem
from yoloslim.data.dataset import Dataset, LoadedSample
from yoloslim.data.pictures import Picture

CHUNK = 64  # pictures that are held at a time
MAX_THREADS = 8


@dataclass(frozen=True, slots=True)
class Scan:
    """What is known of the samples of a data set.

    Attributes:
        sizes: shape (N, 2), int64, width and height of each picture, pixels; 0 where nothing true is known, because
            the picture or its label file cannot be read.
        annotations: the boxes of each picture, in its pixels; none where nothing is known.
        problems: of each sample, what was left out.
    """

    sizes: NDArray[np.int64]
    annotations: AnnotationTable
    problems: tuple[tuple[Problem, ...], ...]

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def is_known(self) -> NDArray[np.bool_]:
        """Of which samples something is known, shape (N,)."""
        return self.sizes[:, 0] > 0

    @staticmethod
    def of_nothing(count: int) -> Scan:
        """Gives what is known before anything was looked at."""
        return Scan(np.zeros((count, 2), np.int64), AnnotationTable.of([Annotation.empty()] * count), ((),) * count)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who sees the pictures while they are read.

    Attributes:
        prepare: what is done to each picture, in one of several threads.
        take: gets the index of a sample and its prepared picture, in the order of the samples.
        progress: called with the number of samples done.
    """

    prepare: Callable[[Picture], Picture] = lambda picture: picture
    take: Callable[[int, Picture], None] = lambda index, picture: None
    progress: Callable[[int], None] = lambda done: None


def scan(dataset: Dataset, known: Scan, again: NDArray[np.bool_], visitor: Visitor) -> Scan:
    """Gives what is known of every sample. Reads the pictures and labels of those that are not known yet.

    Args:
        dataset: what is looked at.
        known: what an earlier scan found and is still true.
        again: shape (N,), samples that are read though they are known, because the visitor wants their pictures.
        visitor: who sees the pictures that are read.
    """
    indices = np.flatnonzero(~known.is_known | again)
    sizes, problems, found = known.sizes.copy(), list(known.problems), list[Annotation]()
    before = len(dataset) - len(indices)
    looks = zip(indices.tolist(), _looks(dataset, indices, visitor.prepare), strict=True)
    for done, (index, look) in enumerate(looks, start=before + 1):
        problems[index], sizes[index] = look.loaded.problems, look.size
        found.append(look.loaded.annotation or Annotation.empty())
        if look.prepared is not None:
            visitor.take(index, look.prepared)
        visitor.progress(done)
    places = np.arange(len(dataset))
    places[indices] = len(dataset) + np.arange(len(indices))
    annotations = stacked([known.annotations, AnnotationTable.of(found)]).take(places)
    return Scan(sizes, annotations, tuple(problems))


class _Look(NamedTuple):
    """One sample without its picture, the picture's (width, height), and what was made of it, if it is usable."""

    loaded: LoadedSample
    size: tuple[int, int]
    prepared: Picture | None


def _looks(dataset: Dataset, indices: NDArray[np.int64], prepare: Callable[[Picture], Picture]) -> Iterator[_Look]:
    def look(index: int) -> _Look:
        loaded = dataset.read(dataset.samples[index])
        without = dataclasses.replace(loaded, picture=None)
        if loaded.picture is None or loaded.annotation is None:
            return _Look(without, (0, 0), None)
        height, width = loaded.picture.shape[:2]
        return _Look(without, (width, height), prepare(loaded.picture))

    with ThreadPoolExecutor(min(os.cpu_count() or 1, MAX_THREADS)) as pool:
        for start in range(0, len(indices), CHUNK):
            yield from pool.map(look, indices[start : start + CHUNK].tolist())
