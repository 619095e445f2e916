"""The readable pictures of a data set at the size of training: all read once to find what is wrong, kept if asked."""

from __future__ import annotations

import dataclasses
import logging
import math
import mmap
import os
import tempfile
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yoloslim.boxes.annotation import Annotation
from yoloslim.data.augment import Layout
from yoloslim.data.dataset import Dataset, LoadedSample, Sample
from yoloslim.data.geometry import Pair, cut, fitted_size, resize_to
from yoloslim.data.pictures import Picture, read_picture
from yoloslim.errors import DataError, OutputError

SCAN_CHUNK = 64  # pictures that the scan holds at a time
MAX_SCAN_THREADS = 8

OPEN_FILES = Path("/proc/self/fd")  # where Linux lets files without a name be opened again

logger = logging.getLogger(__name__)


class Library:
    """The readable pictures of a data set, no larger than the network's input, with their boxes cut to the picture.

    Making it reads every picture once. A sample of which nothing true is known (picture or label file unreadable) is
    left out, so indices count readable ones. Boxes stay in memory, and pictures in one temporary file up to
    ``cache_bytes``, which all processes map: it is held once, however many workers there are. The file goes when the
    library does; the rest is read again each time. Kept or not, a picture is the same.

    Args:
        dataset: what is read.
        layout: of the network's input. A picture that does not fit in is made smaller; none is enlarged.
        cache_bytes: how much the kept pictures may take.
        progress: called with the number of samples done.

    Attributes:
        problems: everything that was left out, for the user.
        num_cached: how many pictures are kept.

    Raises:
        DataError: no picture can be read, or there is no box in any of them.
        OutputError: there is no room for the kept pictures.
    """

    def __init__(
        self,
        dataset: Dataset,
        layout: Layout,
        *,
        cache_bytes: int = 0,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self.layout = layout
        self._samples: list[Sample] = []
        self._annotations: list[Annotation] = []
        problems = list(dataset.problems)
        with _CacheWriter(cache_bytes) as writer:
            for count, (loaded, pair) in enumerate(_scan(dataset, layout), start=1):
                problems.extend(loaded.problems)
                if pair is not None:
                    writer.add(len(self._samples), pair.picture)
                    self._samples.append(loaded.sample)
                    self._annotations.append(pair.annotation)
                if progress is not None:
                    progress(count)
            self._cache = writer.finish()
        self.problems = tuple(dict.fromkeys(problems))
        self.num_cached = len(self._cache)
        self._check(len(dataset))

    def __len__(self) -> int:
        return len(self._samples)

    def path(self, index: int) -> Path:
        """Gives the file of one picture."""
        return self._samples[index].path

    def class_counts(self, num_classes: int) -> list[int]:
        """Gives the number of objects of each class that are not difficult."""
        class_ids = [annotation.class_ids[~annotation.difficult] for annotation in self._annotations]
        return [int(count) for count in np.bincount(np.concatenate(class_ids), minlength=num_classes)]

    def __getitem__(self, index: int) -> Pair:
        """Gives one picture with its objects, in pixels of the picture that is given.

        A picture that could be read before and no longer can is replaced by the next one, and told.

        Raises:
            DataError: no picture can be read any more.
        """
        for candidate in range(index, index + len(self)):
            chosen = candidate % len(self)
            if chosen in self._cache:
                return Pair(self._cache[chosen], self._annotations[chosen])
            try:
                picture = read_picture(self._samples[chosen].path)
            except DataError as error:
                logger.warning("%s; it could be read when training began: another picture takes its place", error)
                continue
            return Pair(_shrunk(picture, Annotation.empty(), self.layout).picture, self._annotations[chosen])
        raise DataError(f"{self._samples[index].path}: neither this nor any other picture of the data set can be read")

    def _check(self, num_samples: int) -> None:
        if not self._samples:
            first = f" ({self.problems[0]})" if self.problems else ""
            raise DataError(f"expected pictures to train on, found none among {num_samples} that can be read{first}")
        if not any(len(annotation) for annotation in self._annotations):
            why = self.problems[0] if self.problems else f"no label file has one (first: {self._samples[0].label_path})"
            raise DataError(f"expected boxes to train on, found none in {len(self)} pictures: {why}")


def _scan(dataset: Dataset, layout: Layout) -> Iterator[tuple[LoadedSample, Pair | None]]:
    """Gives every sample, without its picture, and the picture and boxes as they are trained on, if readable."""

    def read(sample: Sample) -> tuple[LoadedSample, Pair | None]:
        loaded = dataset.read(sample)
        without = dataclasses.replace(loaded, picture=None)
        if loaded.picture is None or loaded.annotation is None:
            return without, None
        return without, _shrunk(loaded.picture, loaded.annotation, layout)

    threads = min(os.cpu_count() or 1, MAX_SCAN_THREADS)
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(dataset), SCAN_CHUNK):
            yield from pool.map(read, dataset.samples[start : start + SCAN_CHUNK])


def _shrunk(picture: Picture, annotation: Annotation, layout: Layout) -> Pair:
    """Gives the picture made smaller where the network's input is smaller, its objects cut at its border."""
    height, width = picture.shape[:2]
    inside = cut(annotation, (width, height))
    new_width, new_height = fitted_size(picture, layout.size, layout.resize)
    return resize_to(picture, inside, (min(width, new_width), min(height, new_height)))


class _Place(NamedTuple):
    """Where a picture lies in the cache's file: its first byte and its shape."""

    offset: int
    shape: tuple[int, ...]


class _Cache:
    """Pictures in one temporary file that processes map into their memory; a pickled copy maps the same file.

    Args:
        path: the file; None when there are no pictures.
        places: where each picture is in it.
    """

    def __init__(self, path: Path | None, places: dict[int, _Place]) -> None:
        self._path = path
        self._places = places
        self._bytes = np.zeros(0, np.uint8) if path is None else _mapped(path)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, index: int) -> bool:
        return index in self._places

    def __getitem__(self, index: int) -> Picture:
        offset, shape = self._places[index]
        return self._bytes[offset : offset + math.prod(shape)].reshape(shape)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Cache, (self._path, self._places)


def _mapped(path: Path) -> NDArray[np.uint8]:
    with path.open("rb") as file:
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)


class _CacheWriter:
    """Writes pictures one after the other until the budget is spent; removes its file if it is not finished."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._file: IO[bytes] | None = None
        self._path = Path()
        self._places: dict[int, _Place] = {}
        self._size = 0

    def __enter__(self) -> _CacheWriter:
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            with suppress(OSError):  # what a full disk did not take is still in the buffer
                self._file.close()
            self._path.unlink()

    def add(self, index: int, picture: Picture) -> None:
        """Keeps a picture if it fits into the budget."""
        if self._size + picture.nbytes > self._budget:
            return
        try:
            if self._file is None:
                handle, name = tempfile.mkstemp(prefix="yoloslim-pictures-")
                self._file, self._path = os.fdopen(handle, "wb"), Path(name)
            self._file.write(picture.tobytes())
            self._file.flush()
        except OSError as error:
            folder = tempfile.gettempdir()
            raise OutputError(f"{folder}: cannot keep pictures here ({error.strerror}): set TMPDIR") from error
        self._places[index] = _Place(self._size, picture.shape)
        self._size += picture.nbytes

    def finish(self) -> _Cache:
        """Gives the pictures that were kept; the file is theirs from now on."""
        if self._file is None:
            return _Cache(None, {})
        file, path, self._file = self._file, self._path, None
        if OPEN_FILES.is_dir():  # Linux: without its name the file is gone when its last user is, however that ends
            path.unlink()
            cache = _Cache(Path(f"/proc/{os.getpid()}/fd/{file.fileno()}"), self._places)
            weakref.finalize(cache, file.close)
            return cache
        file.close()
        cache = _Cache(path, self._places)
        weakref.finalize(cache, _remove, path, os.getpid())
        return cache


def _remove(path: Path, owner: int) -> None:
    """Removes the file, unless this is a forked worker, in which a copy of the finalizer lives."""
    if os.getpid() == owner:
        with suppress(OSError):  # some systems keep a file that is still mapped
            path.unlink()
