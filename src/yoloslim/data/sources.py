"""What `detect --source` takes: a picture, a video, a folder, a glob pattern, or a list of them."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from yoloslim.data.listing import read_list_lines
from yoloslim.data.pictures import is_picture_name
from yoloslim.errors import DataError

VIDEO_SUFFIXES = frozenset(".avi .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ts .webm .wmv".split())
LIST_SUFFIXES = frozenset((".txt", ".list"))


@dataclass(frozen=True, slots=True)
class Sources:
    """The files to look at. They need not be readable, and those of a list need not exist: reading tells.

    Attributes:
        pictures: sorted, or in the order of the list.
        videos: the same.
    """

    pictures: tuple[Path, ...]
    videos: tuple[Path, ...]


def is_video_name(path: Path) -> bool:
    """Gives whether ``path`` has the suffix of a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def find_sources(source: str | Path) -> Sources:
    """Gives the pictures and videos that ``source`` means.

    A folder gives what lies in it directly (``FOLDER/**/*.jpg`` goes deeper), hidden files left out; other files
    in it are passed by. A list has one picture or video a line, relative to the list or to the working folder.

    Args:
        source: a picture, a video, a folder, a glob pattern, or a list (``.txt``).

    Raises:
        DataError: there is no such file, or no picture or video in it.
    """
    path = Path(source)
    if path.is_dir():
        return _known_kinds(sorted(item for item in path.iterdir() if not item.name.startswith(".")), source)
    if path.is_file():
        is_list = path.suffix.lower() in LIST_SUFFIXES
        return _named([_find_listed(line, path) for line in read_list_lines(path)] if is_list else [path])
    matches = glob.glob(str(source), recursive=True)  # noqa: PTH207 (Path.glob refuses absolute patterns)
    if not matches:
        raise DataError(f"{source}: expected a picture, video, folder, pattern or list (.txt), found no such file")
    return _known_kinds(sorted(map(Path, matches)), source)


def _find_listed(line: str, list_path: Path) -> Path:
    beside = list_path.parent / line
    return Path(line) if not beside.exists() and Path(line).exists() else beside


def _named(paths: Sequence[Path]) -> Sources:
    """Gives files that the user named one by one: what is no video is read as a picture, whatever its suffix."""
    videos = tuple(path for path in paths if is_video_name(path))
    return Sources(tuple(path for path in paths if not is_video_name(path)), videos)


def _known_kinds(paths: Sequence[Path], source: str | Path) -> Sources:
    """Gives those files that have the suffix of a picture or of a video."""
    known = [path for path in paths if is_picture_name(path) or is_video_name(path)]
    if not known:
        raise DataError(
            f"{source}: expected pictures (.jpg, .png, ...) or videos (.mp4, .avi, ...), found neither: "
            "write a pattern as FOLDER/**/*.jpg for pictures in subfolders"
        )
    return _named(known)
