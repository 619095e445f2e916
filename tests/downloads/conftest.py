"""A web server on this machine that does what servers do, the bad things too, and a cache of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest


@dataclass
class Server:
    """What the server has, how it behaves, and what it was asked for.

    Attributes:
        url: its address.
        files: contents by name.
        version: the header that tells the version of its files, and its value.
        knows_ranges: whether it sends parts of files.
        cuts: for each of the next answers, after how many bytes the connection is cut; None: not.
        statuses: codes of the next answers, 200 from then on; with others nothing is sent.
        content_type: of its files.
        asked: the Range header of every request, None where it had none.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    version: tuple[str, str] = ("ETag", '"1"')
    knows_ranges: bool = True
    cuts: list[int | None] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    content_type: str = "application/octet-stream"
    asked: list[str | None] = field(default_factory=list)


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers["Range"]
            server.asked.append(asked)
            content = server.files.get(self.path.lstrip("/"))
            status = server.statuses.pop(0) if server.statuses else 200
            if status != 200 or content is None:
                return self.send_error(404 if status == 200 else status)
            if self.headers["If-Range"] not in (None, server.version[1]) or not server.knows_ranges:
                asked = None
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            if start >= len(content) > 0:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                return self.end_headers()
            return self._answer(content, start, partial=bool(asked))

        def _answer(self, content: bytes, start: int, *, partial: bool) -> None:
            self.send_response(206 if partial else 200)
            if partial:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header(*server.version)
            self.send_header("Content-Type", server.content_type)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            end = server.cuts.pop(0) if server.cuts else None
            self.wfile.write(content[start:] if end is None else content[start : start + end])

        def log_message(self, *arguments: object) -> None:
            pass

    return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    """A running server without files."""
    state = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    state.url = f"http://127.0.0.1:{http.server_port}"
    thread = Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    yield state
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder of the test, which does not exist yet; files come from where they are published."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("YOLOSLIM_CACHE", str(folder))
    monkeypatch.delenv("YOLOSLIM_MIRROR")
    return folder
