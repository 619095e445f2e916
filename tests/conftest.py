"""What every test may ask for: the folder of real data, a web server, and settings that make runs repeatable."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import settings

# Read when torch is first imported, here and in the processes that tests start: two workers on two cores must not
# start two threads each. Setting it through torch would import torch for tests that need none.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # over the 2 that a worker inherits from the process that started it
else:
    os.environ.setdefault("OMP_NUM_THREADS", "2")

# No test reaches the network, or the user's cache: those that fetch or keep something name folders of their own.
os.environ["YOLOSLIM_MIRROR"] = os.environ["YOLOSLIM_CACHE"] = os.devnull

settings.register_profile("local", deadline=None, max_examples=50)
settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real data, named by YOLOSLIM_TEST_DATA; absolute."""
    named = os.environ.get("YOLOSLIM_TEST_DATA")
    if not named:
        if os.environ.get("CI"):
            pytest.fail("CI is set: YOLOSLIM_TEST_DATA must name the folder of real data")
        pytest.skip("YOLOSLIM_TEST_DATA does not name a folder of real data")
    folder = Path(named).resolve()
    if not folder.is_dir():
        pytest.fail(f"YOLOSLIM_TEST_DATA={named}: no such folder")
    return folder


@pytest.fixture(scope="session")
def weights_dir(data_dir: Path) -> Path:
    """Folder of published Darknet cfg and weights files."""
    return data_dir / "weights"


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Commands set up logging for a whole process; here many run in one."""
    logger = logging.getLogger("yoloslim")
    handlers, level = logger.handlers, logger.level
    yield
    logger.handlers = handlers
    logger.setLevel(level)


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
