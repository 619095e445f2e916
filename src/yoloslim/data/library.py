"""The readable pictures of a data set at the size of training, with their boxes; what is wrong is found and told."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yoloslim.boxes.annotation import Annotation
from yoloslim.data.annotation_table import AnnotationTable, stacked
from yoloslim.data.dataset import Dataset, Sample
from yoloslim.data.geometry import Pair, resize_to
from yoloslim.data.joint import JointDataset, Part, as_joint
from yoloslim.data.label_cache import LabelCache
from yoloslim.data.layout import Layout, fitted_sizes
from yoloslim.data.picture_cache import Budget, PictureWriter
from yoloslim.data.pictures import Picture, read_picture
from yoloslim.data.scan import Scan, Visitor, scan
from yoloslim.errors import DataError

NO_CACHE = Budget("off", 0, None)

logger = logging.getLogger(__name__)


class Library:
    """The readable pictures of a data set, no larger than the network's input, with their boxes cut to the picture.

    Making it reads every picture once, but for those that an earlier run read and that have not changed since (see
    `LabelCache`). A sample of which nothing true is known (picture or label file unreadable) is left out, so indices
    count readable ones. Boxes stay in memory, and pictures up to ``budget`` in one file that all processes map: it is
    held once, however many workers there are. The file goes when the library does; the rest is read again each time.
    Kept or not, a picture is the same.

    Args:
        dataset: what is read; several data sets are one after the other.
        layout: of the network's input. A picture that does not fit in is made smaller; none is enlarged.
        budget: where pictures are kept, and how much they may take.
        progress: called with the number of samples done.

    Attributes:
        problems: everything that was left out, for the user.
        num_cached: how many pictures are kept.
        sizes: shape (N, 2), int64, width and height of each picture, pixels.
        annotations: the objects of each picture, in pixels of it.
        sets: shape (N,), int64, the data set of each picture, from 0.

    Raises:
        DataError: no picture can be read, or there is no box in any of them.
        OutputError: there is no room for the kept pictures.
    """

    def __init__(
        self,
        dataset: Dataset | JointDataset,
        layout: Layout,
        *,
        budget: Budget = NO_CACHE,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        parts = as_joint(dataset).parts
        with PictureWriter(budget) as writer:
            datasets = [part.dataset for part in parts]
            scans = _scans(datasets, layout, writer, budget, progress or (lambda done: None))
            self._cache = writer.finish()
        sizes = np.concatenate([found.sizes for found in scans])
        trained = _trained_sizes(sizes, layout)
        readable = np.flatnonzero(sizes[:, 0])
        told = (problem for found in scans for problems in found.problems for problem in problems)
        samples = [sample for dataset in datasets for sample in dataset.samples]
        self.problems = tuple(dict.fromkeys([*as_joint(dataset).problems, *told]))
        self.num_cached = len(self._cache)
        self.sizes = trained[readable]
        self.annotations = _fitted(_translated(parts, scans), sizes, trained).take(readable)
        self.sets = np.repeat(np.arange(len(parts)), [len(dataset) for dataset in datasets])[readable]
        self._samples = [samples[index] for index in readable.tolist()]
        self._numbers = readable  # of the samples, by which the cache knows its pictures
        self._unlabelled = [part.unlabelled for part in parts]
        self._check(len(samples), samples[0])

    def __len__(self) -> int:
        return len(self._samples)

    def path(self, index: int) -> Path:
        """Gives the file of one picture."""
        return self._samples[index].path

    def class_counts(self, num_classes: int) -> list[int]:
        """Gives the number of objects of each class that are not difficult."""
        clear = self.annotations.class_ids[~self.annotations.difficult]
        return [int(count) for count in np.bincount(clear, minlength=num_classes)]

    def __getitem__(self, index: int) -> Pair:
        """Gives one picture with its objects, in pixels of the picture that is given.

        A picture that could be read before and no longer can is replaced by the next one, and told.

        Raises:
            DataError: no picture can be read any more.
        """
        for candidate in range(index, index + len(self)):
            chosen = candidate % len(self)
            try:
                return Pair(self._picture(chosen), self._annotation(chosen))
            except DataError as error:
                logger.warning("%s; it could be read when training began: another picture takes its place", error)
        raise DataError(f"{self.path(index)}: neither this nor any other picture of the data set can be read")

    def _picture(self, index: int) -> Picture:
        number = int(self._numbers[index])
        if number in self._cache:
            return self._cache[number]
        return _resized(read_picture(self.path(index)), self.sizes[index])

    def _annotation(self, index: int) -> Annotation:
        return replace(self.annotations[index], unlabelled=self._unlabelled[self.sets[index]])

    def _check(self, num_samples: int, first: Sample) -> None:
        if not self._samples:
            hint = f" ({self.problems[0]})" if self.problems else ""
            raise DataError(f"expected pictures to train on, found none among {num_samples} that can be read{hint}")
        if not len(self.annotations.boxes):
            why = self.problems[0] if self.problems else f"no label file has one (first: {first.label_path})"
            raise DataError(f"expected boxes to train on, found none in {len(self)} pictures: {why}")


def _scans(
    datasets: Sequence[Dataset],
    layout: Layout,
    writer: PictureWriter,
    budget: Budget,
    progress: Callable[[int], None],
) -> list[Scan]:
    """Gives what is known of every data set; pictures that fit into the budget go to the writer."""
    caches = [LabelCache(dataset) for dataset in datasets]
    known = [cache.load() for cache in caches]
    wanted = _wanted(np.concatenate([before.sizes for before in known]), layout, budget)
    found: list[Scan] = []
    for dataset, before in zip(datasets, known, strict=True):
        offset = sum(map(len, found))
        visitor = _visitor(offset, layout, writer, progress)
        found.append(scan(dataset, before, wanted[offset : offset + len(dataset)], visitor))
    for cache, before, after in zip(caches, known, found, strict=True):
        cache.store(after, before)
    return found


def _visitor(offset: int, layout: Layout, writer: PictureWriter, progress: Callable[[int], None]) -> Visitor:
    """Gives who keeps the pictures of a data set, the first of whose samples has the number ``offset``."""
    return Visitor(
        prepare=partial(_shrunk, layout=layout),
        take=lambda index, picture: writer.add(offset + index, picture),
        progress=lambda done: progress(offset + done),
    )


def _wanted(sizes: NDArray[np.int64], layout: Layout, budget: Budget) -> NDArray[np.bool_]:
    """Gives which pictures the budget is for, the first ones; those of an unknown size may be as large as the input."""
    sizes = np.where(sizes > 0, sizes, layout.size)
    needed = np.cumsum(3 * _trained_sizes(sizes, layout).prod(axis=1))
    if budget.kind != "off":
        logger.info("%s", budget.told(int(needed[-1])))
    return needed <= budget.limit


def _trained_sizes(sizes: NDArray[np.int64], layout: Layout) -> NDArray[np.int64]:
    """Gives the size that each picture is trained at: smaller where it does not fit in, never larger."""
    return np.minimum(sizes, fitted_sizes(np.maximum(sizes, 1), layout))


def _shrunk(picture: Picture, layout: Layout) -> Picture:
    height, width = picture.shape[:2]
    return _resized(picture, _trained_sizes(np.array([[width, height]]), layout)[0])


def _resized(picture: Picture, size: NDArray[np.int64]) -> Picture:
    width, height = size.tolist()
    return resize_to(picture, Annotation.empty(), (width, height)).picture


def _translated(parts: Sequence[Part], scans: Sequence[Scan]) -> AnnotationTable:
    """Gives the boxes of all data sets with class ids of the common list."""
    tables = [found.annotations for found in scans]
    class_ids = [np.array(part.class_ids, np.int64)[table.class_ids] for part, table in zip(parts, tables, strict=True)]
    return replace(stacked(tables), class_ids=np.concatenate(class_ids))


def _fitted(table: AnnotationTable, sizes: NDArray[np.int64], trained: NDArray[np.int64]) -> AnnotationTable:
    """Gives the boxes cut at the border of their pictures, in pixels of the size that these are trained at."""
    limits, gains = np.tile(sizes, 2), np.tile(trained / np.maximum(sizes, 1), 2).astype(np.float32)
    inside = np.clip(table.boxes, 0, limits[table.pictures].astype(np.float32))
    has_area = np.prod(inside[:, 2:] - inside[:, :2], axis=1) > 0
    return replace(table, boxes=inside * gains[table.pictures]).keep(has_area)
