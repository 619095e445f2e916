"""A fetched file is the published one whenever it is used; what nobody states is recorded when it is first trusted."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from yoloslim.downloads.remote import Remote, cache_folder, fetch, known
from yoloslim.errors import DownloadError, OutputError

CONTENT = b"weights" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def stated(server: Any) -> Remote:
    """A file whose hash is stated."""
    server.files["net.weights"] = CONTENT
    return Remote(f"{server.url}/net.weights", SHA256, len(CONTENT))


@pytest.fixture
def unstated(server: Any) -> Remote:
    """A file of which only the address is stated."""
    server.files["net.weights"] = CONTENT
    return Remote(f"{server.url}/net.weights")


def test_a_file_is_fetched_once(server: Any, stated: Remote, cache: Path) -> None:
    path = fetch(stated)

    assert fetch(stated) == path == cache / "net.weights"
    assert path.read_bytes() == CONTENT
    assert len(server.asked) == 1


def test_nothing_but_the_file_stays(stated: Remote, cache: Path) -> None:
    fetch(stated)

    assert [path.name for path in cache.iterdir() if not path.name.startswith(".")] == ["net.weights"]


def test_what_has_another_hash_is_never_there(server: Any, stated: Remote, cache: Path) -> None:
    server.files["net.weights"] = b"another" * 1000

    with pytest.raises(DownloadError, match=rf"expected SHA-256 {SHA256}, found \w{{64}}: what came is removed; YOLO"):
        fetch(stated)

    assert not list(cache.glob("net.weights*"))


def test_a_file_that_was_changed_in_the_cache_is_removed_and_fetched_again(
    stated: Remote, caplog: pytest.LogCaptureFixture
) -> None:
    path = fetch(stated)
    path.write_bytes(CONTENT[:-1] + b"S")

    with caplog.at_level(logging.WARNING, "yoloslim"):
        assert fetch(stated).read_bytes() == CONTENT
    assert caplog.messages == [f"{path} is not the file that was fetched: it is removed and fetched again"]


def test_a_changed_file_is_not_used_where_it_cannot_be_fetched_again(server: Any, stated: Remote) -> None:
    path = fetch(stated)
    path.write_bytes(CONTENT[:-1] + b"S")
    server.files.clear()

    with pytest.raises(DownloadError, match="404 Not Found"):
        fetch(stated)
    assert not path.exists()


def test_a_file_without_a_known_hash_must_be_trusted_before_anything_is_asked(server: Any, unstated: Remote) -> None:
    with pytest.raises(DownloadError, match=r"net\.weights: its hash is not known, .*; --trust takes it as it is"):
        fetch(unstated)

    assert server.asked == []


def test_a_trusted_file_is_recorded_and_checked_from_then_on(server: Any, unstated: Remote, cache: Path) -> None:
    path = fetch(unstated, trust=True)

    assert json.loads((cache / "net.weights.trusted.json").read_text()) == {
        "url": unstated.url,
        "sha256": SHA256,
        "size": len(CONTENT),
    }
    assert known(unstated) == Remote(unstated.url, SHA256, len(CONTENT))
    assert fetch(unstated) == path
    path.write_bytes(b"changed")
    assert fetch(unstated).read_bytes() == CONTENT


def test_trust_does_not_take_another_version_than_the_first_time(server: Any, unstated: Remote, cache: Path) -> None:
    fetch(unstated, trust=True).unlink()
    server.files["net.weights"] = CONTENT[::-1]

    with pytest.raises(
        DownloadError, match=r"what came is removed; to take another version .*, remove .*trusted\.json"
    ):
        fetch(unstated, trust=True)
    (cache / "net.weights.trusted.json").unlink()

    assert fetch(unstated, trust=True).read_bytes() == CONTENT[::-1]


def test_trust_of_one_address_is_no_trust_of_another_with_the_same_name(unstated: Remote) -> None:
    fetch(unstated, trust=True)

    with pytest.raises(DownloadError, match="its hash is not known"):
        fetch(Remote("http://127.0.0.1:9/net.weights"))


@pytest.mark.parametrize("record", ["", "{", "[]", '{"url": "x"}', '{"url": "x", "sha256": "y", "size": null}'])
def test_a_record_that_cannot_be_read_is_no_trust(unstated: Remote, cache: Path, record: str) -> None:
    fetch(unstated, trust=True)
    (cache / "net.weights.trusted.json").write_text(record)

    with pytest.raises(DownloadError, match="its hash is not known"):
        fetch(unstated)


def test_a_stated_size_holds_where_no_hash_is_known(server: Any, unstated: Remote, cache: Path) -> None:
    sized = Remote(unstated.url, size=7)

    with pytest.raises(DownloadError, match=r"expected 7 bytes, the server has 7,000"):
        fetch(sized, trust=True)


def test_a_file_that_the_user_put_into_the_cache_is_taken_on_trust(server: Any, unstated: Remote, cache: Path) -> None:
    cache.mkdir()
    (cache / "net.weights").write_bytes(CONTENT)

    assert fetch(unstated, trust=True).read_bytes() == CONTENT
    assert server.asked == []
    assert known(unstated).sha256 == SHA256


def test_an_interrupted_file_goes_on_where_it_was(
    server: Any, stated: Remote, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(done: int, total: int | None) -> None:
        if done:
            raise KeyboardInterrupt

    monkeypatch.setattr("yoloslim.downloads.transfer._CHUNK", 1000)
    with pytest.raises(KeyboardInterrupt):
        fetch(stated, progress=interrupt)

    assert fetch(stated).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000-"]


def test_a_mirror_takes_the_place_of_the_address(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = Remote("https://example.invalid/a/b/net%20v1.weights", SHA256)
    server.files["mirrored/net%20v1.weights"] = CONTENT
    monkeypatch.setenv("YOLOSLIM_MIRROR", f"{server.url}/mirrored/")

    assert fetch(remote).name == "net v1.weights"


def test_a_mirror_may_be_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mirror with ä").mkdir()
    (tmp_path / "mirror with ä" / "net.weights").write_bytes(CONTENT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("YOLOSLIM_MIRROR", "mirror with ä")

    assert fetch(Remote("https://example.invalid/net.weights", SHA256)).read_bytes() == CONTENT
    with pytest.raises(DownloadError, match=r"no\.weights: cannot be reached \(No such file or directory\)"):
        fetch(Remote("https://example.invalid/no.weights", SHA256))


def test_many_who_want_a_file_fetch_it_once(server: Any, unstated: Remote) -> None:
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch(unstated, trust=True).read_bytes())) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [CONTENT] * 8
    assert len(server.asked) == 1


def test_a_cache_that_cannot_be_written_is_told(
    stated: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("YOLOSLIM_CACHE", str(tmp_path / "file"))

    with pytest.raises(OutputError, match=r"file/net\.weights: cannot be written .*; set YOLOSLIM_CACHE to another"):
        fetch(stated)


def test_the_cache_is_the_systems_where_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("YOLOSLIM_CACHE")

    assert cache_folder().is_absolute()
    assert "yoloslim" in cache_folder().parts
