"""Which pictures make a batch, and how large it is: a function of seed, epoch and the batch's number alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yoloslim.data.layout import Layout, Size, holding_size
from yoloslim.data.picture_cache import CacheKind
from yoloslim.data.sampling import Draws
from yoloslim.errors import RecipeError

ORDER_STREAM, SIZE_STREAM = 0, 3  # keep the generators apart, also from those of samples and draws


@dataclass(frozen=True, slots=True)
class LoaderSettings:
    """How training pictures are put together, and where they are kept meanwhile.

    Attributes:
        shape: ``fixed``: every batch has the size of the network's input; ``rect``: pictures of like proportions come
            together, in the smallest batch that holds them.
        multi_scale: the size of a batch is that of the input times 1 ± this, 0 to 0.9; 0 turns it off.
        multi_scale_every: batches that keep a size, 1 or more.
        cache: where decoded pictures are kept: on ``disk`` (the system keeps the file in memory as long as it can), in
            ``memory`` alone, or nowhere (``off``).
        cache_gb: how much they may take, in units of 10^9 bytes; never more than half of what is free.

    Raises:
        RecipeError: a value is out of its range.
    """

    shape: Literal["fixed", "rect"] = "fixed"
    multi_scale: float = 0.0
    multi_scale_every: int = 10
    cache: CacheKind = "disk"
    cache_gb: float = 2.0

    def __post_init__(self) -> None:
        ranges = {"multi_scale": (0, 0.9), "multi_scale_every": (1, 1_000_000), "cache_gb": (0, 1_000_000)}
        for name, (low, high) in ranges.items():
            found = getattr(self, name)
            if not low <= found <= high:
                raise RecipeError(f"loader {name}: expected {low:g} to {high:g}, found {found:g}")


class Key(NamedTuple):
    """All that a training sample depends on besides the seed.

    Attributes:
        epoch: from 0.
        draw: which of the epoch's draws.
        size: width and height of its batch, pixels.
    """

    epoch: int
    draw: int
    size: Size


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of every batch this process trains on, among several that train one network.

    Attributes:
        rank: from 0.
        count: number of processes.
    """

    rank: int = 0
    count: int = 1


@dataclass(frozen=True, slots=True)
class BatchSizes:
    """How large each batch is.

    Attributes:
        layout: of the network's input.
        settings: whether and how sizes change.
        seed: 0 or more.
    """

    layout: Layout
    settings: LoaderSettings
    seed: int

    def __post_init__(self) -> None:
        if self.settings.shape == "rect" and self.layout.resize != "letterbox":
            raise RecipeError(f"loader shape: rect needs resize = letterbox, found {self.layout.resize}")

    @property
    def largest(self) -> Size:
        """The largest size that a batch may have, pixels."""
        return self.layout.scaled(1 + self.settings.multi_scale) if self.settings.multi_scale else self.layout.size

    def of(self, epoch: int, number: int, pictures: NDArray[np.int64]) -> Size:
        """Gives the size of a batch of ``pictures``, whose widths and heights have the shape (B, 2)."""
        size, spread = self.layout.size, self.settings.multi_scale
        if spread:
            rng = np.random.default_rng((self.seed, SIZE_STREAM, epoch, number // self.settings.multi_scale_every))
            size = self.layout.scaled(1 + rng.uniform(-spread, spread))
        return size if self.settings.shape == "fixed" else holding_size(pictures, size, self.layout.stride)


class EpochBatches:
    """The batches of one epoch as keys of samples, in an order that depends on seed and epoch alone.

    The last batch may be smaller; with a single picture it is left out, because batch-norm cannot learn from it, unless
    it is the only one. With several processes each gets as many pictures: some then come twice.

    Args:
        draws: which pictures come in an epoch.
        pictures: width and height of every picture, shape (N, 2), pixels.
        sizes: how large a batch is.
        batch: pictures in a batch of one process.
        share: which part is given.

    Attributes:
        epoch: the epoch that is given next.
        first: the batch of it that is given first.
    """

    def __init__(
        self, draws: Draws, pictures: NDArray[np.int64], sizes: BatchSizes, batch: int, share: Share | None = None
    ) -> None:
        self.epoch = 0
        self.first = 0
        self._draws = draws
        self._pictures = pictures
        self._sizes = sizes
        self._batch = batch
        self._share = share or Share()

    def __len__(self) -> int:
        return -(-self._num_mine() // self._batch)

    def __iter__(self) -> Iterator[list[Key]]:
        return iter(self.keys(self.epoch)[self.first :])

    def keys(self, epoch: int) -> list[list[Key]]:
        """Gives the keys of every batch of an epoch."""
        drawn, batches = self._draws.of(epoch), self._batches(epoch)
        sizes = [self._sizes.of(epoch, number, self._pictures[drawn[batch]]) for number, batch in enumerate(batches)]
        return [[Key(epoch, draw, size) for draw in batch.tolist()] for batch, size in zip(batches, sizes, strict=True)]

    def _batches(self, epoch: int) -> list[NDArray[np.int64]]:
        """The draws of each batch."""
        rng = np.random.default_rng((self._sizes.seed, ORDER_STREAM, epoch))
        order, (rank, count) = rng.permutation(len(self._draws)), (self._share.rank, self._share.count)
        mine = np.resize(order, -(-len(order) // count) * count)[rank::count][: self._num_mine()]
        if self._sizes.settings.shape == "fixed":
            return self._cut(mine)
        width, height = self._pictures[self._draws.of(epoch)[mine]].T
        batches = self._cut(mine[np.argsort(width / height, kind="stable")])
        return [batches[index] for index in rng.permutation(len(batches))]

    def _cut(self, draws: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        return [draws[start : start + self._batch] for start in range(0, len(draws), self._batch)]

    def _num_mine(self) -> int:
        count = -(-len(self._draws) // self._share.count)
        return count - (count % self._batch == 1 and 1 < self._batch < count)
