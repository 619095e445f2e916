"""Batches for training. The same seed and epoch give the same batches, whatever the number of worker processes.

    library --key--> varied sample --collate--> Batch

A key says all: epoch, draw and size; so worker processes that outlive an epoch need not be told of the next.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils import data

from yoloslim.boxes.annotation import Annotation
from yoloslim.boxes.placement import check_channels, to_planes
from yoloslim.data.annotations import Problem
from yoloslim.data.augment import AugmentSettings, training_sample
from yoloslim.data.batches import BatchSizes, EpochBatches, Key, LoaderSettings, Share
from yoloslim.data.dataset import Dataset
from yoloslim.data.geometry import Pair
from yoloslim.data.joint import JointDataset, as_joint
from yoloslim.data.layout import Layout
from yoloslim.data.library import Library
from yoloslim.data.picture_cache import budget_of
from yoloslim.data.sampling import Draws, SamplingSettings, expected_draws


class Item(NamedTuple):
    """One training picture.

    Attributes:
        image: shape (C, H, W), uint8, RGB or grey.
        targets: shape (N, 5), float32: class, cx, cy, w, h.
        unlabelled: shape (classes,), bool: classes that nobody looked for in it.
    """

    image: Tensor
    targets: Tensor
    unlabelled: Tensor


SAMPLE_STREAM = 1  # keeps the generator of samples apart from those of orders, draws and sizes


@dataclass(frozen=True, slots=True)
class Batch:
    """Training pictures with their targets.

    Attributes:
        images: shape (B, C, H, W), uint8, RGB or grey; H and W may differ from batch to batch.
        targets: shape (M, 6), float32: index of the picture in the batch, class id, cx, cy, w, h; the last four as
            shares, 0..1, of the input's width and height. In the order of the pictures.
        unlabelled: shape (B, classes), bool: classes that nobody looked for in that picture.
    """

    images: Tensor
    targets: Tensor
    unlabelled: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Batch:
        """Gives the batch on a device."""
        tensors = (self.images, self.targets, self.unlabelled)
        return Batch(*(tensor.to(device, non_blocking=non_blocking) for tensor in tensors))

    def pin_memory(self) -> Batch:
        """Gives the batch in memory from which a GPU copies fast; torch's loader calls it by this name."""
        return Batch(self.images.pin_memory(), self.targets.pin_memory(), self.unlabelled.pin_memory())


class TrainingSet(data.Dataset[Item]):
    """The varied samples of a data set, each of them a function of seed and key alone.

    Making it looks at every picture once (see `Library`). ``difficult`` objects are no targets.

    Args:
        dataset: pictures and labels, of one or several data sets.
        layout: of the network's input.
        augment: how much pictures are varied.
        sampling: how often pictures come.
        loader: how pictures are put together, and where they are kept.
        seed: 0 or more.
        progress: called with the number of samples looked at so far.

    Attributes:
        problems: everything in the data set that was left out, for the user.
        num_cached: how many pictures are kept decoded.
        draws: which pictures come in an epoch.
        sizes: how large a batch is.

    Raises:
        DataError: no picture can be read, there is no box in any of them, or no background that is asked for.
        OutputError: there is no room for the kept pictures.
        RecipeError: the settings do not fit the data or the network.
    """

    def __init__(
        self,
        dataset: Dataset | JointDataset,
        layout: Layout,
        augment: AugmentSettings | None = None,
        *,
        sampling: SamplingSettings | None = None,
        loader: LoaderSettings | None = None,
        seed: int = 0,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        check_channels(layout.channels)
        loader = loader or LoaderSettings()
        self.seed = seed
        self.sizes = BatchSizes(layout, loader, seed)
        self._layout = layout
        self._augment = augment or AugmentSettings()
        self._num_classes = len(dataset.names)
        budget = budget_of(loader.cache, int(loader.cache_gb * 1e9))
        largest = replace(layout, size=self.sizes.largest)
        self._library = Library(dataset, largest, budget=budget, progress=progress)
        self.problems: tuple[Problem, ...] = self._library.problems
        self.num_cached = self._library.num_cached
        num_sets = len(as_joint(dataset).parts)
        chosen = sampling or SamplingSettings()
        expected = expected_draws(self._library.annotations, self._library.sets, num_sets, chosen)
        self.draws = Draws(expected, seed)

    def __len__(self) -> int:
        """Gives the number of pictures in an epoch."""
        return len(self.draws)

    @property
    def picture_sizes(self) -> NDArray[np.int64]:
        """Width and height of every readable picture, no larger than the input, shape (N, 2), pixels."""
        return self._library.sizes

    def path(self, epoch: int, draw: int) -> Path:
        """Gives the file of the picture that is drawn."""
        return self._library.path(int(self.draws.of(epoch)[draw]))

    def class_counts(self) -> list[int]:
        """Gives the number of objects of each class that are targets."""
        return self._library.class_counts(self._num_classes)

    def __getitem__(self, key: Key) -> Item:
        """Gives the sample of a key."""
        rng = np.random.default_rng((self.seed, SAMPLE_STREAM, key.epoch, key.draw))
        drawn = _Drawn(self._library, self.draws.of(key.epoch))
        layout = replace(self._layout, size=key.size)
        picture, annotation = training_sample(drawn, key.draw, rng, layout, self._augment)
        unlabelled = torch.zeros(self._num_classes, dtype=torch.bool)
        unlabelled[list(annotation.unlabelled)] = True
        planes = np.stack(to_planes(picture, layout.channels))
        return Item(torch.from_numpy(planes), torch.from_numpy(to_targets(annotation, key.size)), unlabelled)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """The pictures of an epoch: partners in mosaics are drawn among them, and so are as often of a rare class."""

    library: Library
    draws: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.draws)

    def __getitem__(self, draw: int) -> Pair:
        return self.library[int(self.draws[draw])]


def to_targets(annotation: Annotation, size: tuple[int, int]) -> NDArray[np.float32]:
    """Gives the objects to train on, shape (N, 5): class, cx, cy, w, h, the last four as shares of ``size``.

    Difficult ones are left out. Boxes must lie inside the picture.
    """
    trained = ~annotation.difficult
    shares = annotation.boxes[trained] / np.array(size * 2, np.float32)
    low, high = shares[:, :2], shares[:, 2:]
    columns = [annotation.class_ids[trained, None], (low + high) / 2, high - low]
    return np.concatenate(columns, axis=1).astype(np.float32)


def collate(items: Sequence[Item]) -> Batch:
    """Gives samples as one batch."""
    images, targets, unlabelled = zip(*items, strict=True)
    counts = torch.tensor([len(found) for found in targets])
    indices = torch.repeat_interleave(torch.arange(len(items)), counts).to(torch.float32)
    numbered = torch.cat([indices[:, None], torch.cat(targets)], dim=1)
    return Batch(torch.stack(images), numbered, torch.stack(unlabelled))


class TrainingLoader:
    """The batches of a training set, epoch by epoch; made by `training_loader`.

    Attributes:
        training_set: where they come from.
    """

    def __init__(self, training_set: TrainingSet, sampler: EpochBatches, batches: data.DataLoader[Item]) -> None:
        self.training_set = training_set
        self._sampler = sampler
        self._batches = batches

    def __len__(self) -> int:
        """Gives the number of batches of an epoch."""
        return len(self._sampler)

    def batches(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Gives the batches of ``epoch``, from 0, beginning with ``first``; the same ones whenever it is asked.

        Take one epoch at a time: where there are workers, asking for the next one ends the one before.
        """
        self._sampler.epoch, self._sampler.first = epoch, first
        with _single_opencv_thread(), _late_interrupt():
            return iter(self._batches)  # starts the workers

    def names(self, epoch: int, batch: int) -> tuple[str, ...]:
        """Gives the files of the pictures in one batch, without their partners in mosaics."""
        keys = self._sampler.keys(epoch)[batch]
        return tuple(str(self.training_set.path(key.epoch, key.draw)) for key in keys)


def training_loader(
    training_set: TrainingSet, batch: int = 16, *, workers: int = 0, share: Share | None = None
) -> TrainingLoader:
    """Gives the batches of a training set.

    Args:
        batch: pictures in a batch, 1 or more.
        workers: processes that make samples, no more than there are cores, kept from epoch to epoch; with 0 this
            process does. The batches are the same.
        share: the part of this process, where several train one network.
    """
    sampler = EpochBatches(training_set.draws, training_set.picture_sizes, training_set.sizes, batch, share)
    workers = min(workers, _cores())
    batches = data.DataLoader(
        training_set,
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_start_worker,
        persistent_workers=workers > 0,
        generator=torch.Generator(),  # of its own: the global one is left as it is
    )
    return TrainingLoader(training_set, sampler, batches)


def _cores() -> int:
    """Gives the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _single_opencv_thread() -> Iterator[None]:
    """Stops OpenCV's threads meanwhile: a process that is forked while they exist waits for them for ever."""
    num_threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(num_threads)


@contextmanager
def _late_interrupt() -> Iterator[None]:
    """Keeps Ctrl-C for the end of the block: what a fork calls on its way would swallow it."""
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield
        return
    received: list[tuple[int, FrameType | None]] = []
    handler = signal.signal(signal.SIGINT, lambda number, frame: received.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if received and callable(handler):
        handler(*received[0])


def _start_worker(_worker: int) -> None:
    """Keeps OpenCV from starting threads in a worker, where cores are shared already, and Ctrl-C for the main process.

    A worker that got the signal too would print its trace; when the main process ends, its workers do.
    """
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.excepthook = lambda *_: None  # of the thread that hands pictures over, when the main process has gone
