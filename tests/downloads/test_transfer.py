"""Downloads that are cut off go on from where they were, and nothing else is ever taken for the file."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from yoloslim.downloads import transfer
from yoloslim.downloads.transfer import download
from yoloslim.errors import DownloadError

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "net.weights.part"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_PAUSES_S", (0, 0, 0))


@pytest.fixture
def url(server: Any) -> str:
    server.files["net.weights"] = CONTENT
    return f"{server.url}/net.weights"


def test_a_file_comes_whole_and_its_progress_is_told(url: str, part: Path) -> None:
    told: list[tuple[int, int | None]] = []

    download(url, part, size=len(CONTENT), progress=lambda done, total: told.append((done, total)))

    assert part.read_bytes() == CONTENT
    assert told[0] == (0, len(CONTENT))
    assert told[-1] == (len(CONTENT), len(CONTENT))


def test_a_connection_that_is_cut_is_made_again_for_the_rest(server: Any, url: str, part: Path) -> None:
    server.cuts = [1000, 1, 0, 0, 5000]

    download(url, part)

    assert part.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000-", "bytes=1001-", "bytes=1001-", "bytes=1001-", "bytes=6001-"]


def test_a_later_call_goes_on_from_what_is_there(server: Any, url: str, part: Path) -> None:
    server.cuts = [1000, 0, 0, 0, 0]
    with pytest.raises(DownloadError, match=r"was cut; 1,000 bytes are kept, and the same command goes on from there"):
        download(url, part)
    told: list[int] = []

    download(url, part, progress=lambda done, total: told.append(done))

    assert part.read_bytes() == CONTENT
    assert told[0] == 1000
    assert server.asked[-1] == "bytes=1000-"


def test_a_server_without_ranges_sends_everything_again(server: Any, url: str, part: Path) -> None:
    server.knows_ranges = False
    server.cuts = [4000]

    download(url, part)

    assert part.read_bytes() == CONTENT
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("header", "before", "after"),
    [("ETag", '"1"', '"2"'), ("Last-Modified", "Mon, 02 Mar 2026 10:00:00 GMT", "Tue, 03 Mar 2026 10:00:00 GMT")],
)
def test_a_file_that_was_replaced_meanwhile_is_not_mixed_with_its_beginning(
    server: Any, url: str, part: Path, header: str, before: str, after: str
) -> None:
    server.version = header, before
    server.cuts = [4000, 0, 0, 0, 0]
    with pytest.raises(DownloadError):
        download(url, part)
    server.files["net.weights"], server.version = CONTENT[::-1], (header, after)

    download(url, part)

    assert part.read_bytes() == CONTENT[::-1]


def test_what_is_already_whole_is_not_asked_for(server: Any, url: str, part: Path) -> None:
    part.write_bytes(CONTENT)

    download(url, part, size=len(CONTENT))

    assert server.asked == []


def test_what_is_already_whole_is_known_without_its_size(server: Any, url: str, part: Path) -> None:
    part.write_bytes(CONTENT)

    download(url, part)

    assert part.read_bytes() == CONTENT
    assert server.asked == [f"bytes={len(CONTENT)}-"]


def test_a_beginning_that_is_longer_than_the_file_is_dropped(server: Any, url: str, part: Path) -> None:
    part.write_bytes(CONTENT + b"more")

    download(url, part)

    assert part.read_bytes() == CONTENT


def test_a_missing_file_is_told_at_once(server: Any, part: Path) -> None:
    with pytest.raises(DownloadError, match=r"/no\.weights: the server answers 404 Not Found; fetch it by hand, or"):
        download(f"{server.url}/no.weights", part)

    assert len(server.asked) == 1
    assert not part.exists()


def test_a_server_that_is_overloaded_in_the_middle_is_asked_again(server: Any, url: str, part: Path) -> None:
    server.cuts, server.statuses = [4000], [200, 503]

    download(url, part)

    assert part.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=4000-", "bytes=4000-"]


def test_no_network_is_told_at_once(part: Path) -> None:
    with pytest.raises(
        DownloadError, match=r"net\.weights: cannot be reached \(Connection refused\); fetch it by hand"
    ):
        download("http://127.0.0.1:9/net.weights", part)


def test_a_file_of_another_size_is_refused_before_it_comes(url: str, part: Path) -> None:
    with pytest.raises(DownloadError, match=r"expected 7 bytes, the server has 10,240: this is not the published file"):
        download(url, part, size=7)

    assert not part.exists()


def test_a_web_page_in_place_of_the_file_is_refused(server: Any, url: str, part: Path) -> None:
    server.content_type = "text/html; charset=utf-8"

    with pytest.raises(DownloadError, match=r"expected a file, the server sent a web page"):
        download(url, part)

    assert not part.exists()


def test_a_full_disk_is_told_before_the_file_comes(url: str, part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(part.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=100))

    with pytest.raises(DownloadError, match=r"10,240 bytes are to come, .* has room for 100; make room"):
        download(url, part)


def test_a_folder_is_read_like_a_server(tmp_path: Path, part: Path) -> None:
    (tmp_path / "net.weights").write_bytes(CONTENT)
    part.write_bytes(b"beginning of something")

    download((tmp_path / "net.weights").as_uri(), part, size=len(CONTENT))

    assert part.read_bytes() == CONTENT
