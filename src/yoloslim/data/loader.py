"""Batches for training. The same seed and epoch give the same batches, whatever the number of worker processes.

    library --(epoch, index)--> varied sample --collate--> Batch

The sampler hands out pairs of epoch and index, so worker processes that outlive an epoch need not be told of the next.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
from yoloslim.boxes.placement import ResizeMode
from yoloslim.data.annotations import Problem
from yoloslim.data.augment import AugmentSettings, Layout, training_sample
from yoloslim.data.dataset import Dataset
from yoloslim.data.library import Library
from yoloslim.data.pictures import Picture


class Item(NamedTuple):
    """One training picture.

    Attributes:
        image: shape (3, H, W), uint8, RGB.
        targets: shape (N, 5), float32: class, cx, cy, w, h.
        unlabelled: shape (classes,), bool: classes that nobody looked for in it.
    """

    image: Tensor
    targets: Tensor
    unlabelled: Tensor


Key = tuple[int, int]
"""What a sample depends on besides the seed: epoch and index."""

ORDER_STREAM, SAMPLE_STREAM = 0, 1  # keep the generators of orders and of samples apart


@dataclass(frozen=True, slots=True)
class Batch:
    """Training pictures with their targets.

    Attributes:
        images: shape (B, 3, H, W), uint8, RGB.
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
    """The varied samples of a data set, each of them a function of seed, epoch and index alone.

    Making it reads every picture once (see `Library`). ``difficult`` objects are no targets.

    Args:
        dataset: pictures and labels.
        size: width and height of the network's input, pixels.
        resize: how a picture is laid into it.
        settings: how much pictures are varied.
        seed: 0 or more.
        cache_bytes: how many bytes of decoded pictures may be kept; processes share them.
        progress: called with the number of samples read so far.

    Attributes:
        problems: everything in the data set that was left out, for the user.
        num_cached: how many pictures are kept decoded.

    Raises:
        DataError: no picture can be read, or there is no box in any of them.
        OutputError: there is no room for the kept pictures.
    """

    def __init__(
        self,
        dataset: Dataset,
        size: tuple[int, int],
        resize: ResizeMode = "letterbox",
        settings: AugmentSettings | None = None,
        *,
        seed: int = 0,
        cache_bytes: int = 0,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self.layout = Layout(size, resize)
        self.settings = settings or AugmentSettings()
        self.seed = seed
        self.num_classes = len(dataset.names)
        self._library = Library(dataset, self.layout, cache_bytes=cache_bytes, progress=progress)
        self.problems: tuple[Problem, ...] = self._library.problems
        self.num_cached = self._library.num_cached

    def __len__(self) -> int:
        """Gives the number of pictures that can be read."""
        return len(self._library)

    def path(self, index: int) -> Path:
        """Gives the file of one picture."""
        return self._library.path(index)

    def class_counts(self) -> list[int]:
        """Gives the number of objects of each class that are targets."""
        return self._library.class_counts(self.num_classes)

    def __getitem__(self, key: Key) -> Item:
        """Gives the sample ``index`` as it looks in ``epoch``."""
        epoch, index = key
        rng = np.random.default_rng((self.seed, SAMPLE_STREAM, epoch, index))
        picture, annotation = training_sample(self._library, index, rng, self.layout, self.settings)
        unlabelled = torch.zeros(self.num_classes, dtype=torch.bool)
        unlabelled[list(annotation.unlabelled)] = True
        targets = torch.from_numpy(to_targets(annotation, self.layout.size))
        return Item(torch.from_numpy(to_planes(picture)), targets, unlabelled)


def to_planes(picture: Picture) -> NDArray[np.uint8]:
    """Gives a picture of shape (H, W, 3), BGR, as planes of shape (3, H, W), RGB."""
    return np.stack(cv2.split(picture)[::-1])


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


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of every batch this process trains on, among several that train one network.

    Attributes:
        rank: from 0.
        count: number of processes.
    """

    rank: int = 0
    count: int = 1


class EpochBatches(data.Sampler[list[Key]]):
    """The batches of one epoch as keys of samples, in an order that depends on seed and epoch alone.

    The last batch may be smaller; with a single picture it is left out, because batch-norm cannot learn from it, unless
    it is the only one. With several processes each gets as many pictures: some then come twice.

    Args:
        num_samples: 1 or more.
        batch: pictures in a batch of one process.
        seed: 0 or more.
        share: which part is given.

    Attributes:
        epoch: the epoch that is given next.
        first: the batch of it that is given first.
    """

    def __init__(self, num_samples: int, batch: int, seed: int, share: Share | None = None) -> None:
        self.num_samples = num_samples
        self.batch = batch
        self.seed = seed
        self.share = share or Share()
        self.epoch = 0
        self.first = 0

    def __len__(self) -> int:
        return len(self._starts())

    def __iter__(self) -> Iterator[list[Key]]:
        return iter(self.keys(self.epoch)[self.first :])

    def keys(self, epoch: int) -> list[list[Key]]:
        """Gives the keys of every batch of an epoch."""
        order = np.random.default_rng((self.seed, ORDER_STREAM, epoch)).permutation(self.num_samples)
        mine = np.resize(order, self._num_mine() * self.share.count)[self.share.rank :: self.share.count]
        keys = [(epoch, index) for index in mine.tolist()]
        return [keys[start : start + self.batch] for start in self._starts()]

    def _num_mine(self) -> int:
        return -(-self.num_samples // self.share.count)

    def _starts(self) -> range:
        count = self._num_mine()
        is_single = count % self.batch == 1 and 1 < self.batch < count
        return range(0, count - is_single, self.batch)


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
        return tuple(str(self.training_set.path(index)) for _, index in self._sampler.keys(epoch)[batch])


def training_loader(
    training_set: TrainingSet, batch: int = 16, *, workers: int = 0, share: Share | None = None
) -> TrainingLoader:
    """Gives the batches of a training set.

    Args:
        batch: pictures in a batch, 1 or more.
        workers: processes that make samples, kept from epoch to epoch; with 0 this process does. The batches are the
            same.
        share: the part of this process, where several train one network.
    """
    sampler = EpochBatches(len(training_set), batch, training_set.seed, share)
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
