"""Bytes from an address into a file: what came before a cut stays, and the next call goes on from it."""

from __future__ import annotations

import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from ssl import SSLError
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.response import addinfourl

from yoloslim import __version__
from yoloslim.errors import DownloadError

Progress = Callable[[int, int | None], None]
"""Takes the number of bytes that are there, and of all bytes, None where the server does not tell."""

_CUTS = (URLError, HTTPException, ConnectionError, TimeoutError, SSLError)
_PASSING = frozenset({408, 429, 500, 502, 503, 504})  # answers that may be another one a little later
_PAUSES_S = (1, 4, 16)  # before another try, after one that brought nothing
_TIMEOUT_S = 30
_CHUNK = 1 << 18


def unseen(done: int, total: int | None) -> None:
    """Shows no progress."""


def download(url: str, part: Path, *, size: int = 0, progress: Progress = unseen) -> None:
    """Brings the file at ``url`` to ``part``, which grows as bytes come and is whole when this returns.

    A connection that is cut is made again, and only what is missing is asked for (RFC 9110, section 14). A server that
    does not know ranges, or has another version by now, sends the whole file again.

    Args:
        url: an address with http, https or file.
        part: may hold the beginning, from an earlier call.
        size: bytes of the whole file; 0 where nobody states it.

    Raises:
        DownloadError: there is no such file, it is another one, or the connection is cut again and again.
    """
    pauses: Iterator[int] = iter(())  # there is nothing to wait for where no connection was ever made
    while True:
        before = _bytes_of(part)
        try:
            return _go_on(url, part, size, progress)
        except _CUTS as error:
            if _bytes_of(part) > before:
                pauses = iter((0, *_PAUSES_S))
            pause = next(pauses, None)
            if pause is None:
                raise DownloadError(f"{url}: {_reason(error)}; {_way_on(part)}") from error
            time.sleep(pause)


def discard(part: Path) -> None:
    """Removes what is there of a file, and what is known of its version."""
    part.unlink(missing_ok=True)
    _version_file(part).unlink(missing_ok=True)


def _go_on(url: str, part: Path, size: int, progress: Progress) -> None:
    """Opens one connection and writes what it brings.

    Raises:
        DownloadError: trying again would not help.
        OSError, HTTPException: one of ``_CUTS``.
    """
    done = _bytes_of(part)
    if size and done == size:
        return
    response = _open(url, part, done)
    if response is None:
        return
    with response:
        start = _first_byte(response, done)
        total = _total(response, start) or size or None
        _check(response, url, part.parent, start, total, size)
        with part.open("ab" if start else "wb") as file:
            if not start:
                _version_file(part).write_text(_version(response), encoding="latin-1")
            done = _copy(response, file, start, total, progress)
    if total is not None and done != total:
        raise ConnectionError("the connection was cut")


def _open(url: str, part: Path, done: int) -> addinfourl | None:
    """Gives the answer to a request for all that follows the first ``done`` bytes; None where nothing does."""
    headers = {"User-Agent": f"yoloslim/{__version__}"}
    if done:
        version = _version_file(part).read_text(encoding="latin-1") if _version_file(part).exists() else ""
        headers |= {"Range": f"bytes={done}-"} | ({"If-Range": version} if version else {})
    try:
        answer: addinfourl = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_S)
    except HTTPError as error:
        with error:
            if error.code == 416 and error.headers.get("Content-Range") == f"bytes */{done}":
                return None
            if error.code == 416:
                part.unlink()
                return _open(url, part, 0)
            if error.code in _PASSING:
                raise
            raise DownloadError(f"{url}: {_reason(error)}; {_ELSEWHERE}") from error
    return answer


def _first_byte(response: addinfourl, done: int) -> int:
    """Gives where in the file the answer begins: at ``done``, or at 0 where the server sends the whole file."""
    return done if (response.headers.get("Content-Range") or "").startswith(f"bytes {done}-") else 0


def _total(response: addinfourl, start: int) -> int | None:
    length = response.headers.get("Content-Length")
    return None if length is None else start + int(length)


def _check(response: addinfourl, url: str, folder: Path, start: int, total: int | None, size: int) -> None:
    if response.headers.get_content_type() == "text/html":
        raise DownloadError(f"{url}: expected a file, the server sent a web page; {_ELSEWHERE}")
    if size and total != size:
        raise DownloadError(f"{url}: expected {size:,} bytes, the server has {total:,}: this is not the published file")
    free = shutil.disk_usage(folder).free
    if total is not None and total - start > free:
        text = f"{total - start:,} bytes are to come, {folder} has room for {free:,}"
        raise DownloadError(f"{url}: {text}; make room, or set YOLOSLIM_CACHE to another folder")


def _copy(response: addinfourl, file: IO[bytes], done: int, total: int | None, progress: Progress) -> int:
    progress(done, total)
    while chunk := response.read(_CHUNK):
        file.write(chunk)
        done += len(chunk)
        progress(done, total)
    return done


def _version(response: addinfourl) -> str:
    """Gives what If-Range may name: a strong entity tag, else a date, else nothing (RFC 9110, section 13.1.5)."""
    tag = response.headers.get("ETag") or ""
    return tag if tag.startswith('"') else response.headers.get("Last-Modified") or ""


def _version_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.version")


def _bytes_of(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


_ELSEWHERE = "fetch it by hand, or name a place that has it in YOLOSLIM_MIRROR"


def _way_on(part: Path) -> str:
    done = _bytes_of(part)
    return f"{done:,} bytes are kept, and the same command goes on from there" if done else _ELSEWHERE


def _reason(error: Exception) -> str:
    match error:
        case HTTPError():
            return f"the server answers {error.code} {error.reason}"
        case URLError(reason=OSError() as cause):
            return f"cannot be reached ({cause.strerror or cause})"
        case URLError():
            return f"cannot be reached ({error.reason})"
    return str(error) or type(error).__name__
