"""From the name of a known data set to a data file: archives brought and unpacked, and a YAML that names the splits."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import yaml

from yoloslim.data.annotations import Problem
from yoloslim.data.dataset import Dataset, LoadedSample
from yoloslim.data.known import Count, KnownSet
from yoloslim.downloads.archives import unpack
from yoloslim.downloads.remote import Remote, cache_folder, check_copy, fetch, known
from yoloslim.downloads.transfer import Progress
from yoloslim.errors import DataError
from yoloslim.files import write_atomically

Show = Callable[[str, int, int | None], None]
"""Takes what is under way, how many bytes of it are done, and how many there are, None where nobody knows."""

_THREADS = 8
_CHUNK = 64  # samples that are read before the next ones begin

State = Literal["unpacked", "fetched", "here", "to fetch", "missing"]


@dataclass(frozen=True, slots=True)
class Archive:
    """One archive of a data set, and how far it has come.

    Attributes:
        name: the file's.
        state: ``unpacked``: nothing is left to do; ``fetched``: it is in the cache; ``here``: the user has it at
            ``path``; ``to fetch``: from ``remote``; ``missing``: the user must bring it.
        remote: where it is published; None where there is no plain download.
        path: the user's copy.
    """

    name: str
    state: State
    remote: Remote | None = None
    path: Path | None = None


def list_archives(data_set: KnownSet, folder: Path, source: Path | None = None) -> tuple[Archive, ...]:
    """Gives every archive of a data set, and what is left to do with it. Changes nothing.

    Args:
        folder: where the data set is unpacked.
        source: a folder that has the archives, where the user names one.
    """
    remotes = {remote.name: remote for remote in data_set.archives}
    return tuple(_archive(name, remotes.get(name), folder, source) for name in data_set.archive_names)


def _archive(name: str, remote: Remote | None, folder: Path, source: Path | None) -> Archive:
    if _mark(folder, name).exists():
        return Archive(name, "unpacked", remote)
    if source is not None:
        path = source / name
        return Archive(name, "here", remote, path) if path.is_file() else Archive(name, "missing", remote)
    if remote is None:
        return Archive(name, "missing")
    path = cache_folder() / name
    if path.is_file() and known(remote).sha256:
        return Archive(name, "fetched", remote)
    return Archive(name, "to fetch", remote)


def fetch_set(
    data_set: KnownSet,
    folder: Path,
    *,
    source: Path | None = None,
    trust: bool = False,
    show: Show = lambda title, done, total: None,
) -> Path:
    """Brings and unpacks a data set and gives its data file, ``folder/NAME.yaml``, which appears last.

    What an earlier call did is not done again.

    Args:
        source: a folder that has the archives, where the user names one.
        trust: whether archives may be fetched whose hash nobody knows.

    Raises:
        DataError: an archive is missing that only the user can bring, or a split is not where it should be.
        DownloadError: an archive cannot be fetched, is not the published one, is damaged, or must be trusted first.
        OutputError: the folder or the cache cannot be written.
    """
    archives = list_archives(data_set, folder, source)
    missing = [archive.name for archive in archives if archive.state == "missing"]
    if missing:
        raise DataError(_missing(data_set, missing, source))
    for archive in archives:
        if archive.state != "unpacked":
            path = _brought(archive, trust=trust, progress=partial(show, archive.name))
            unpack(path, folder, partial(show, f"unpacking {archive.name}"))
            _mark(folder, archive.name).touch()
    _check_places(data_set, folder)
    file = folder / f"{data_set.name}.yaml"
    with write_atomically(file) as temporary:
        temporary.write_text(_data_file(data_set), encoding="utf-8")
    return file


def count_split(
    dataset: Dataset, progress: Callable[[int], None] = lambda done: None
) -> tuple[Count, tuple[Problem, ...]]:
    """Gives the number of readable pictures of a split and of their objects, and all that is wrong with the others.

    Every picture is read: this also shows that a data set has arrived whole.

    Args:
        progress: called with the number of pictures done.
    """
    pictures = boxes = clear = 0
    problems = list(dataset.problems)
    for done, loaded in enumerate(_read(dataset), start=1):
        if loaded.annotation is not None:
            pictures += 1
            boxes += len(loaded.annotation)
            clear += int((~loaded.annotation.difficult).sum())
        problems.extend(loaded.problems)
        progress(done)
    return Count(pictures, boxes, clear), tuple(problems)


def _read(dataset: Dataset) -> Iterator[LoadedSample]:
    """Gives every sample in order, without its picture; some are read at the same time."""
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _THREADS)) as pool:
        for start in range(0, len(dataset), _CHUNK):
            yield from pool.map(
                lambda sample: replace(dataset.read(sample), picture=None), dataset.samples[start : start + _CHUNK]
            )


def _brought(archive: Archive, *, trust: bool, progress: Progress) -> Path:
    """Gives the file of an archive: the user's copy, if it is the published one, else what is fetched."""
    if archive.path is None:
        assert archive.remote is not None
        return fetch(archive.remote, trust=trust, progress=progress)
    if archive.remote is not None:
        check_copy(archive.remote, archive.path)
    return archive.path


def _missing(data_set: KnownSet, missing: list[str], source: Path | None) -> str:
    names = ", ".join(missing)
    if source is not None:
        return f"--from {source}: expected {names} in it, found none: these are archives of {data_set.page}"
    text = f"{data_set.name}: {data_set.obstacle}"
    return f"{text}: fetch {names} by hand from {data_set.page}, and name their folder by --from"


def _mark(folder: Path, archive: str) -> Path:
    """Gives the empty file that says that an archive has been unpacked."""
    return folder / f".unpacked-{archive}"


def _check_places(data_set: KnownSet, folder: Path) -> None:
    for place in data_set.places.values():
        for part in (*place.pictures, *filter(None, [place.labels])):
            if not (folder / part).exists():
                found = ", ".join(sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")))
                text = f"expected {part} in its archives, found {found}"
                raise DataError(f"{folder}: {text}: is this another version of {data_set.name}? {data_set.page} has it")


def _data_file(data_set: KnownSet) -> str:
    content: dict[str, object] = {}
    for split, place in data_set.places.items():
        content[split] = list(place.pictures)
        if place.labels:
            content[f"labels_{split}"] = place.labels
    content |= {"format": data_set.format, "names": list(data_set.class_names)}
    return f"# {data_set.name}, from {data_set.page}\n" + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
