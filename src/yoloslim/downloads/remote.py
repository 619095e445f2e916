"""A file that somebody publishes, and the copy of it in the user's cache, checked whenever it is used."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit

from yoloslim.downloads.transfer import Progress, discard, download, unseen
from yoloslim.errors import DownloadError, OutputError
from yoloslim.files import write_atomically

CACHE_VARIABLE = "YOLOSLIM_CACHE"
"""Environment variable: the folder for fetched files, in place of the one that the system has for such files."""

MIRROR_VARIABLE = "YOLOSLIM_MIRROR"
"""Environment variable: a folder or a base address that has the files by name, in place of where they are published."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Remote:
    """A published file.

    Attributes:
        url: where it is published; its last part is the file's name, in the cache and on mirrors.
        sha256: 64 hexadecimal digits in lower case; empty where nobody states them.
        size: bytes; 0 where nobody states them.
    """

    url: str
    sha256: str = ""
    size: int = 0

    @property
    def name(self) -> str:
        """The file's name."""
        return unquote(PurePosixPath(urlsplit(self.url).path).name)


def cache_folder() -> Path:
    """Gives the folder that fetched files are kept in, absolute; it may not exist yet."""
    import pooch

    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser().absolute() if named else Path(pooch.os_cache("yoloslim"))


def known(remote: Remote) -> Remote:
    """Gives the remote with the hash and size that were recorded when it was first taken, where it states no hash."""
    if remote.sha256:
        return remote
    try:
        record = json.loads(_record_file(remote).read_text(encoding="utf-8"))
        recorded = Remote(str(record["url"]), str(record["sha256"]), int(record["size"]))
    except (OSError, ValueError, TypeError, KeyError):
        return remote
    return recorded if recorded.url == remote.url else remote


def fetch(remote: Remote, *, trust: bool = False, progress: Progress = unseen) -> Path:
    """Gives a published file, from the cache or from where it is published; it has the hash that is known, each time.

    The first time that a file is taken whose hash nobody states, its size and hash are recorded beside it.

    Args:
        trust: whether such a file may be taken that first time.
        progress: told how many bytes there are, while they come.

    Raises:
        DownloadError: the file cannot be fetched, is not the one that was published, or must be trusted first.
        OutputError: the cache folder cannot be written.
    """
    found = known(remote)
    if not found.sha256 and not trust:
        text = "its hash is not known, so it cannot be checked; --trust takes it as it is, this once"
        raise DownloadError(f"{remote.url}: {text}: its hash is recorded and checked from then on")
    path = cache_folder() / remote.name
    if found.sha256 and _is_right(path, found):
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _bring(remote, path, progress)
    except OSError as error:
        text = f"cannot be written ({error.strerror or error}); set {CACHE_VARIABLE} to another folder"
        raise OutputError(f"{path}: {text}") from error
    return path


def check_copy(remote: Remote, path: Path) -> None:
    """Makes sure that a file which the user brought is the published one, as far as that is known.

    Raises:
        DownloadError: it has another size or hash.
    """
    found = known(remote)
    if not _is_right(path, found):
        size = f"{found.size:,} bytes" if found.size else "the published size"
        text = f"expected {size} and SHA-256 {found.sha256 or '(not known)'}, found {path.stat().st_size:,} bytes"
        raise DownloadError(f"{path}: {text}: this is not the file of {remote.url}, or not all of it")


def _bring(remote: Remote, path: Path, progress: Progress) -> None:
    """Brings a file into the cache; other processes that want it wait, and find it there."""
    import pooch
    from filelock import FileLock

    pooch.get_logger().setLevel(logging.WARNING)  # it would tell of every download, beside the progress bar
    with FileLock(path.with_name(f".{path.name}.lock")):
        found = known(remote)

        def bring(url: str, output: str, _: object) -> None:
            part = path.with_name(f"{path.name}.part")
            download(url, part, size=found.size, progress=progress)
            if not _is_right(part, found):
                message = _mismatch(part, found, recorded=not remote.sha256)
                discard(part)
                raise DownloadError(message)
            part.replace(output)
            discard(part)

        if path.exists() and not _is_right(path, found):
            _log.warning("%s is not the file that was fetched: it is removed and fetched again", path)
            path.unlink()
        pooch.retrieve(_place(remote), found.sha256 or None, path.name, path.parent, downloader=bring)
        if not found.sha256:
            _record(remote, path)


def _is_right(path: Path, found: Remote) -> bool:
    """Tells whether a file is there and has the size and the hash that are known of it."""
    import pooch

    if not path.is_file() or found.size not in (0, path.stat().st_size):
        return False
    return not found.sha256 or pooch.file_hash(path) == found.sha256


def _mismatch(part: Path, found: Remote, *, recorded: bool) -> str:
    import pooch

    text = f"{_place(found)}: expected SHA-256 {found.sha256}, found {pooch.file_hash(part)}: what came is removed"
    if recorded:
        return f"{text}; to take another version than the first time, remove {_record_file(found)} and add --trust"
    return f"{text}; {MIRROR_VARIABLE} names another place to fetch it from"


def _record_file(remote: Remote) -> Path:
    return cache_folder() / f"{remote.name}.trusted.json"


def _record(remote: Remote, path: Path) -> None:
    import pooch

    record = Remote(remote.url, pooch.file_hash(path), path.stat().st_size)
    with write_atomically(_record_file(remote)) as temporary:
        temporary.write_text(f"{json.dumps(asdict(record), indent=1)}\n", encoding="utf-8")


def _place(remote: Remote) -> str:
    """Gives the address to take the file from: its own, or its name at the mirror."""
    mirror = os.environ.get(MIRROR_VARIABLE)
    if not mirror:
        return remote.url
    if "://" in mirror:
        return f"{mirror.rstrip('/')}/{quote(remote.name)}"
    return (Path(mirror).expanduser().absolute() / remote.name).as_uri()
