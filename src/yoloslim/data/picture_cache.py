"""Decoded pictures that are kept for a run: in one file without a name that all processes map into their memory."""

from __future__ import annotations

import math
import mmap
import os
import shutil
import tempfile
import weakref
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yoloslim.data.pictures import Picture
from yoloslim.errors import OutputError

CacheKind = Literal["disk", "memory", "off"]

OPEN_FILES = Path("/proc/self/fd")  # where Linux lets files without a name be opened again
MEMORY = Path("/proc/meminfo")
CONTROL_GROUP = Path("/sys/fs/cgroup")
SHARE_OF_FREE = 0.5
"""The rest of the free memory or disk is left to others."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How much decoded pictures may take.

    Attributes:
        kind: where they are kept: a temporary ``disk`` file, which the system holds in memory as long as it can;
            ``memory`` alone (the same file where the system has no such thing); nowhere (``off``).
        allowed: bytes that the user allows.
        free: bytes that are free there, and may be used in part; None where the system does not tell.
    """

    kind: CacheKind
    allowed: int
    free: int | None

    @property
    def limit(self) -> int:
        """Bytes that may be used."""
        if self.kind == "off":
            return 0
        return self.allowed if self.free is None else min(self.allowed, int(SHARE_OF_FREE * self.free))

    def told(self, needed: int) -> str:
        """Gives one line on what comes of it, where all pictures together need at most so many bytes."""
        free = "" if self.free is None else f", {_text(self.free)} free"
        kept = (
            "all are kept" if needed <= self.limit else f"{_text(self.limit)} are kept, the others are read each time"
        )
        return f"decoded pictures ({self.kind}): at most {_text(needed)}, {_text(self.allowed)} allowed{free}: {kept}"


def budget_of(kind: CacheKind, allowed: int) -> Budget:
    """Gives the budget for a kind of cache on this machine, now."""
    match kind:
        case "disk":
            return Budget(kind, allowed, shutil.disk_usage(tempfile.gettempdir()).free)
        case "memory":
            return Budget(kind, allowed, free_memory())
    return Budget(kind, 0, None)


def free_memory() -> int | None:
    """Gives the bytes of memory that this process could still take; None where the system does not tell."""
    found = [amount for amount in (_available(), _left_in_group()) if amount is not None]
    return min(found, default=None)


def _available() -> int | None:
    with suppress(OSError, ValueError, LookupError):
        lines = dict(line.split(":", 1) for line in MEMORY.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    return None


def _left_in_group() -> int | None:
    """What the process' control group (a container, say) may still take; files that it could drop count as free."""
    with suppress(OSError, ValueError, LookupError):
        limit, used = (int((CONTROL_GROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        lines = dict(line.split() for line in (CONTROL_GROUP / "memory.stat").read_text().splitlines())
        return max(0, limit - used + int(lines["inactive_file"]))
    return None


def _text(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e7 else f"{count / 1e6:.2f} MB"


class _Place(NamedTuple):
    """Where a picture lies in the cache's file: its first byte and its shape."""

    offset: int
    shape: tuple[int, ...]


class PictureCache:
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
        return PictureCache, (self._path, self._places)


def _mapped(path: Path) -> NDArray[np.uint8]:
    with path.open("rb") as file:
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)


class PictureWriter:
    """Writes pictures one after the other until the budget is spent; removes its file if it is not finished."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._file: IO[bytes] | None = None
        self._path: Path | None = None  # None: the file has no name
        self._places: dict[int, _Place] = {}
        self._size = 0

    def __enter__(self) -> PictureWriter:
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            with suppress(OSError):  # what a full disk did not take is still in the buffer
                self._file.close()
            if self._path is not None:
                self._path.unlink()

    def add(self, index: int, picture: Picture) -> None:
        """Keeps a picture if it fits into the budget.

        Raises:
            OutputError: there is no room for it.
        """
        if self._size + picture.nbytes > self._budget.limit:
            return
        try:
            if self._file is None:
                self._file, self._path = _new_file(self._budget.kind)
            self._file.write(picture.tobytes())
            self._file.flush()
        except OSError as error:
            folder = tempfile.gettempdir()
            raise OutputError(f"{folder}: cannot keep pictures here ({error.strerror}): set TMPDIR") from error
        self._places[index] = _Place(self._size, picture.shape)
        self._size += picture.nbytes

    def finish(self) -> PictureCache:
        """Gives the pictures that were kept; the file is theirs from now on."""
        if self._file is None:
            return PictureCache(None, {})
        file, path, self._file = self._file, self._path, None
        if path is None:
            cache = PictureCache(Path(f"/proc/{os.getpid()}/fd/{file.fileno()}"), self._places)
            weakref.finalize(cache, file.close)
            return cache
        file.close()
        cache = PictureCache(path, self._places)
        weakref.finalize(cache, _remove, path, os.getpid())
        return cache


def _new_file(kind: CacheKind) -> tuple[IO[bytes], Path | None]:
    """Gives a new file, and its name if it needs one: without, it is gone when its last user is, however that ends."""
    if kind == "memory" and hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("yoloslim-pictures"), "wb"), None
    handle, name = tempfile.mkstemp(prefix="yoloslim-pictures-")
    file = os.fdopen(handle, "wb")
    if not OPEN_FILES.is_dir():
        return file, Path(name)
    Path(name).unlink()
    return file, None


def _remove(path: Path, owner: int) -> None:
    """Removes the file, unless this is a forked worker, in which a copy of the finalizer lives."""
    if os.getpid() == owner:
        with suppress(OSError):  # some systems keep a file that is still mapped
            path.unlink()
