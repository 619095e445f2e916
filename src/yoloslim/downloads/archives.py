"""Archives unpacked into folders: only plain files, only below the folder, and all of them or none."""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import BadGzipFile
from lzma import LZMAError
from pathlib import Path, PurePosixPath, PureWindowsPath

from yoloslim.downloads.transfer import Progress, unseen
from yoloslim.errors import DownloadError, OutputError

_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    BadGzipFile,
    zlib.error,
    LZMAError,
    EOFError,
    RuntimeError,  # a zip that is encrypted, or compressed in a way that nobody knows here
)
_CHUNK = 1 << 20


def unpack(archive: Path, folder: Path, progress: Progress = unseen) -> None:
    """Unpacks a zip or tar archive into a folder, beside what is there; a file of the same name is replaced.

    Nothing appears before all members are read and found good.

    Args:
        progress: told how many bytes are done, and how many there are.

    Raises:
        DownloadError: this is no archive, it is damaged, or a member is no plain file below the folder.
        OutputError: the folder cannot be written, or has no room.
    """
    try:
        with _emptied(folder / f".part-{archive.name}") as part:
            if zipfile.is_zipfile(archive):
                _unpack_zip(archive, part, progress)
            elif tarfile.is_tarfile(archive):
                _unpack_tar(archive, part, progress)
            else:
                raise DownloadError(
                    f"{archive}: expected a zip or tar archive, found another kind of file: fetch it again"
                )
            _move(part, folder)
    except _DAMAGE as error:
        raise DownloadError(f"{archive}: the archive is damaged ({error}): remove it and fetch it again") from error
    except OSError as error:
        raise OutputError(f"{folder}: cannot unpack {archive} here: {error.strerror or error}") from error


@contextmanager
def _emptied(folder: Path) -> Iterator[Path]:
    """Gives an empty folder that goes when the block ends."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move(source: Path, target: Path) -> None:
    """Moves what is in one folder into another of the same file system."""
    for path in source.iterdir():
        place = target / path.name
        if path.is_dir() and place.is_dir():
            _move(path, place)
        else:
            path.replace(place)


def _unpack_zip(archive: Path, folder: Path, progress: Progress) -> None:
    with zipfile.ZipFile(archive) as file:
        members = file.infolist()
        for member in members:
            _check_name(archive, member.filename)
            if stat.S_ISLNK(member.external_attr >> 16):
                raise _refused(archive, member.filename, "is a link")
        done, total = 0, sum(member.file_size for member in members)
        _check_room(archive, folder, total)
        for member in members:
            file.extract(member, folder)
            done += member.file_size
            progress(done, total)


def _unpack_tar(archive: Path, folder: Path, progress: Progress) -> None:
    total = archive.stat().st_size
    _check_room(archive, folder, total)
    with archive.open("rb") as source, tarfile.open(fileobj=source) as file:
        for member in file:
            _check_name(archive, member.name)
            if not (member.isfile() or member.isdir()):
                raise _refused(archive, member.name, "is a link, or no plain file")
            file.extract(member, folder, filter="data")
            progress(source.tell(), total)
        while file.fileobj.read(_CHUNK):  # the checksum of a gzip file stands at its end
            pass


def _check_name(archive: Path, name: str) -> None:
    windows = PureWindowsPath(name)  # knows both slashes, and drives
    if windows.drive or windows.root or PurePosixPath(name).is_absolute():
        raise _refused(archive, name, "has an absolute path")
    if ".." in windows.parts:
        raise _refused(archive, name, "climbs out of the folder")


def _check_room(archive: Path, folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise OutputError(f"{archive}: unpacked it takes {size:,} bytes, {folder.parent} has room for {free:,}")


def _refused(archive: Path, name: str, why: str) -> DownloadError:
    return DownloadError(f"{archive}: member {name!r} {why}: nothing of this archive is used")
