"""Where a command writes: folders that can be written, names that take no other file's place."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from yoloslim.errors import OutputError, RecipeError
from yoloslim.files import next_folder

_WRITABLE_PICTURES = frozenset(".bmp .jpeg .jpg .png .tif .tiff .webp".split())


def output_folder(out: Path | None, command: str, name: str) -> Path:
    """Gives the folder to write: ``out``, else ``runs/<command>/<name>-NNN``. Makes nothing.

    Raises:
        OutputError: it cannot be written, which is better known before the work than after it.
    """
    if out is None:
        return next_folder(Path("runs") / command, re.sub(r"[^\w.+-]+", "_", name).strip("_.") or command)
    check_folder("--out", out)
    return out


def check_folder(option: str, folder: Path) -> None:
    """Makes sure that a folder is there and can be written, or could be made.

    Raises:
        OutputError: it cannot; names the option that asks for it.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise OutputError(f"{option} {folder}: expected a folder, found that {there} is a file")
    if not os.access(there, os.W_OK):
        raise OutputError(f"{option} {folder}: the folder {there} cannot be written: choose another")


class DrawnFiles:
    """Names for the drawn pictures and videos of one run, each once, in a folder that holds no source.

    Args:
        folder: where they go.
        sources: what is drawn on.

    Raises:
        RecipeError: the folder holds a source, which might be overwritten.
    """

    def __init__(self, folder: Path, sources: Iterable[Path]) -> None:
        self.folder = folder
        self._given: set[str] = set()
        clash = next((path for path in sources if path.resolve().parent == folder.resolve()), None)
        if clash is not None:
            raise RecipeError(f"--out {folder}: {clash} lies in it and might be overwritten: choose another folder")

    def picture(self, source: Path) -> Path:
        """Gives the file for a drawn picture: the source's name, as .png where its kind cannot be written."""
        return self._free(source.stem, source.suffix if source.suffix.lower() in _WRITABLE_PICTURES else ".png")

    def video(self, source: Path) -> Path:
        """Gives the file for a drawn video, an .mp4."""
        return self._free(source.stem, ".mp4")

    def _free(self, stem: str, suffix: str) -> Path:
        name, number = f"{stem}{suffix}", 1
        while name.lower() in self._given:  # some file systems know no capital letters
            number += 1
            name = f"{stem}-{number}{suffix}"
        self._given.add(name.lower())
        return self.folder / name
