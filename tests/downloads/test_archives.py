"""Archives are unpacked whole or not at all, and nothing in them can reach out of their folder."""

from __future__ import annotations

import io
import shutil
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from yoloslim.downloads.archives import unpack
from yoloslim.errors import DownloadError, OutputError

FILES = {"set/images/a.jpg": b"picture", "set/labels/ä b.txt": b"0 .5 .5 1 1"}


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, members: Sequence[tuple[tarfile.TarInfo, bytes]], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def plain(files: dict[str, bytes]) -> list[tuple[tarfile.TarInfo, bytes]]:
    return [(tarfile.TarInfo(name), content) for name, content in files.items()]


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_zip_is_unpacked(tmp_path: Path) -> None:
    counted: list[tuple[int, int | None]] = []

    archive = zipped(tmp_path / "a.zip", FILES)

    unpack(archive, tmp_path / "new" / "a", lambda done, total: counted.append((done, total)))

    assert contents(tmp_path / "new" / "a") == FILES
    assert counted == [(7, 18), (18, 18)]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_is_unpacked(tmp_path: Path, mode: str) -> None:
    counted: list[tuple[int, int | None]] = []
    archive = tarred(tmp_path / "a.tar", plain(FILES), mode)

    unpack(archive, tmp_path / "a", lambda done, total: counted.append((done, total)))

    assert contents(tmp_path / "a") == FILES
    assert {total for _, total in counted} == {archive.stat().st_size}
    assert 0 < counted[-1][0] <= archive.stat().st_size


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../out.txt", "climbs out of the folder"),
        ("set/../../out.txt", "climbs out of the folder"),
        ("..\\out.txt", "climbs out of the folder"),
        ("/tmp/out.txt", "has an absolute path"),
        ("C:/out.txt", "has an absolute path"),
        ("\\\\server\\share\\out.txt", "has an absolute path"),
    ],
)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_member_that_would_lie_elsewhere_is_refused(tmp_path: Path, name: str, why: str, kind: str) -> None:
    files = {**FILES, name: b"evil"}
    archive = zipped(tmp_path / "a.zip", files) if kind == "zip" else tarred(tmp_path / "a.tar", plain(files))

    with pytest.raises(DownloadError, match=f"member .* {why}: nothing of this archive is used"):
        unpack(archive, tmp_path / "below" / "a")

    assert list((tmp_path / "below" / "a").iterdir()) == []
    assert not (tmp_path / "out.txt").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_of_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    archive = tarred(tmp_path / "a.tar", [*plain(FILES), (link("set/link", "/etc/passwd", kind), b"")])

    with pytest.raises(DownloadError, match=r"member 'set/link' is a link, or no plain file"):
        unpack(archive, tmp_path / "a")

    assert list((tmp_path / "a").iterdir()) == []


def test_links_of_a_zip_are_refused(tmp_path: Path) -> None:
    member = zipfile.ZipInfo("set/link")
    member.create_system, member.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(member, "/etc/passwd")

    with pytest.raises(DownloadError, match=r"member 'set/link' is a link"):
        unpack(tmp_path / "a.zip", tmp_path / "a")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_damaged_archive_leaves_nothing(tmp_path: Path, kind: str) -> None:
    files = {"a.bin": bytes(range(256)) * 100}
    archive = zipped(tmp_path / "a.zip", files) if kind == "zip" else tarred(tmp_path / "a.tar", plain(files))
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 255
    archive.write_bytes(content)

    with pytest.raises(DownloadError, match=r"the archive is damaged .*: remove it and fetch it again"):
        unpack(archive, tmp_path / "below" / "a")

    assert list((tmp_path / "below" / "a").iterdir()) == []


def test_an_archive_that_is_cut_off_leaves_nothing(tmp_path: Path) -> None:
    archive = tarred(tmp_path / "a.tar", plain({"a.bin": bytes(range(256)) * 100}))
    archive.write_bytes(archive.read_bytes()[:200])

    with pytest.raises(DownloadError, match="the archive is damaged"):
        unpack(archive, tmp_path / "a")

    assert list((tmp_path / "a").iterdir()) == []


def test_what_is_no_archive_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("<html>log in first</html>")

    with pytest.raises(DownloadError, match=r"a\.zip: expected a zip or tar archive, found another kind of file"):
        unpack(tmp_path / "a.zip", tmp_path / "a")


def test_what_a_killed_call_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "a" / ".part-a.zip" / "set").mkdir(parents=True)
    (tmp_path / "a" / ".part-a.zip" / "set" / "half.jpg").write_text("half")

    unpack(zipped(tmp_path / "a.zip", FILES), tmp_path / "a")

    assert contents(tmp_path / "a") == FILES


def test_archives_with_the_same_folders_lie_together(tmp_path: Path) -> None:
    unpack(zipped(tmp_path / "a.zip", FILES), tmp_path / "a")
    unpack(zipped(tmp_path / "b.zip", {"set/images/b.jpg": b"other", "set/images/a.jpg": b"newer"}), tmp_path / "a")

    assert contents(tmp_path / "a") == {**FILES, "set/images/b.jpg": b"other", "set/images/a.jpg": b"newer"}


def test_a_full_disk_is_told_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=10))

    with pytest.raises(OutputError, match=r"a\.zip: unpacked it takes 18 bytes, .* has room for 10"):
        unpack(zipped(tmp_path / "a.zip", FILES), tmp_path / "a")
