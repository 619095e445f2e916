"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from yoloslim.errors import OutputError

_LEFTOVER = re.compile(r"\.part-.+-[a-z0-9_]{8}(\.\w+)?")  # as mkstemp makes them in _temporary_beside


@contextmanager
def write_atomically(path: str | Path) -> Iterator[Path]:
    """Gives a temporary path in the same folder, which becomes ``path`` when the block ends without an error.

    The temporary name keeps the suffix, because some writers choose the format by it. Missing folders are made.

    Raises:
        OutputError: the file cannot be written; an earlier one of that name is untouched.
    """
    path = Path(path)
    try:
        with _temporary_beside(path) as temporary:
            yield temporary
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot write this file: {error.strerror or error}") from error


@contextmanager
def write_folder_atomically(path: str | Path) -> Iterator[Path]:
    """Gives a temporary folder beside ``path``, which becomes ``path`` when the block ends without an error.

    Raises:
        OutputError: ``path`` is there and not an empty folder, or cannot be written; then nothing is.
    """
    path = Path(path)
    try:
        check_new_folder(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".part-{path.name}-", dir=path.absolute().parent) as name:
            folder = Path(name) / "folder"  # TemporaryDirectory wants its own folder back
            folder.mkdir()
            yield folder
            if path.exists():
                path.rmdir()
            folder.replace(path)
    except OSError as error:
        at = f" ({error.filename})" if error.filename else ""
        raise OutputError(f"{path}: cannot write this folder: {error.strerror or error}{at}") from error


def check_new_folder(path: Path) -> None:
    """Makes sure that ``path`` is not there, or an empty folder.

    Raises:
        OutputError: it is a file, or holds files.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise OutputError(f"{path}: expected a new or an empty folder, found {_described(path)}: choose another")


def _described(path: Path) -> str:
    return f"files in it ({next(path.iterdir()).name})" if path.is_dir() else "a file"


@contextmanager
def _temporary_beside(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".part-{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Removes what writers that were killed left under their temporary names, in a folder and those below it.

    Only for folders that nobody else is writing to.
    """
    for path in folder.rglob(".*"):
        if _LEFTOVER.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def next_folder(parent: Path, name: str) -> Path:
    """Gives ``parent/name-NNN`` with the first number from 001 that is free; makes nothing."""
    number = 1
    while (parent / f"{name}-{number:03d}").exists():
        number += 1
    return parent / f"{name}-{number:03d}"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
