"""Decoded pictures in one file: where it lies, how large it may be, and that nothing of it stays behind."""

from __future__ import annotations

import gc
import io
import os
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoloslim.data import picture_cache
from yoloslim.data.picture_cache import Budget, PictureCache, PictureWriter, budget_of, free_memory
from yoloslim.errors import OutputError

PICTURES = [np.random.default_rng(number).integers(0, 256, (8, 5 + number, 3), np.uint8) for number in range(3)]
PLENTY = 1 << 20


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on systems other than Linux, where files need names."""
    monkeypatch.setattr(picture_cache, "OPEN_FILES", Path("/nowhere"))
    monkeypatch.delattr(os, "memfd_create", raising=False)


def kept(kind: str, limit: int = PLENTY) -> PictureCache:
    with PictureWriter(Budget(kind, limit, None)) as writer:
        for number, picture in enumerate(PICTURES):
            writer.add(10 * number, picture)
        return writer.finish()


@pytest.mark.parametrize("kind", ["disk", "memory"])
@pytest.mark.parametrize("system", ["linux", "elsewhere"])
def test_pictures_come_back_as_they_were_also_in_a_copy(
    kind: str, system: str, request: pytest.FixtureRequest, temporary: Path
) -> None:
    if system == "elsewhere":
        request.getfixturevalue("elsewhere")

    cache = kept(kind)

    for found in (cache, pickle.loads(pickle.dumps(cache))):
        assert [number in found for number in (0, 1, 10, 20)] == [True, False, True, True]
        for number, picture in enumerate(PICTURES):
            np.testing.assert_array_equal(found[10 * number], picture)


@pytest.mark.skipif(not picture_cache.OPEN_FILES.is_dir(), reason="Linux only")
@pytest.mark.parametrize("kind", ["disk", "memory"])
def test_kept_pictures_have_no_name_that_could_stay_behind(temporary: Path, kind: str) -> None:
    with PictureWriter(Budget(kind, PLENTY, None)) as writer:
        writer.add(0, PICTURES[0])

        assert list(temporary.iterdir()) == []  # not even if this process were killed now


@pytest.mark.usefixtures("elsewhere")
def test_a_file_with_a_name_goes_with_its_cache_but_not_with_a_copy(temporary: Path) -> None:
    cache = kept("memory")
    copy = pickle.loads(pickle.dumps(cache))

    del copy
    gc.collect()
    assert len(list(temporary.iterdir())) == 1
    del cache
    gc.collect()
    assert list(temporary.iterdir()) == []


@pytest.mark.usefixtures("elsewhere")
def test_a_forked_process_does_not_take_the_file_away(temporary: Path) -> None:
    cache = kept("disk")

    child = os.fork()
    if child == 0:
        del cache
        gc.collect()
        os._exit(0)
    os.waitpid(child, 0)

    assert len(list(temporary.iterdir())) == 1
    assert 0 in cache


@pytest.mark.parametrize("system", ["linux", "elsewhere"])
def test_a_full_disk_is_told_and_nothing_is_left(
    temporary: Path, system: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if system == "elsewhere":
        request.getfixturevalue("elsewhere")
    real_fdopen = os.fdopen

    def fdopen(handle: int, mode: str) -> io.BufferedWriter:
        os.close(handle)
        return real_fdopen(os.open("/dev/full", os.O_WRONLY), mode)

    monkeypatch.setattr(picture_cache.os, "fdopen", fdopen)

    with pytest.raises(OutputError, match=r"cannot keep pictures here \(No space left on device\): set TMPDIR"):
        kept("disk")

    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("system", ["linux", "elsewhere"])
def test_nothing_is_left_when_reading_fails(temporary: Path, system: str, request: pytest.FixtureRequest) -> None:
    if system == "elsewhere":
        request.getfixturevalue("elsewhere")

    def read() -> None:
        with PictureWriter(Budget("disk", PLENTY, None)) as writer:
            writer.add(0, PICTURES[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read()

    assert list(temporary.iterdir()) == []


# ---- how much it may take --------------------------------------------------------------------------------------------


@given(allowed=st.integers(0, 10**12), free=st.integers(0, 10**12))
def test_never_more_than_is_allowed_or_half_of_what_is_free(allowed: int, free: int) -> None:
    assert Budget("disk", allowed, free).limit == min(allowed, free // 2)


def test_nothing_is_kept_where_the_cache_is_off() -> None:
    assert budget_of("off", PLENTY).limit == 0
    assert len(kept("off")) == 0


def test_where_the_system_does_not_tell_what_is_free_the_user_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_cache, "MEMORY", Path("/nowhere"))
    monkeypatch.setattr(picture_cache, "CONTROL_GROUP", Path("/nowhere"))

    assert budget_of("memory", 12).limit == 12


def test_what_fits_and_what_does_not_is_told() -> None:
    budget = Budget("disk", 2 * 10**9, 3 * 10**9)

    assert budget.told(10**9) == "decoded pictures (disk): at most 1.00 GB, 2.00 GB allowed, 3.00 GB free: all are kept"
    assert budget.told(4 * 10**9).endswith("1.50 GB are kept, the others are read each time")


def test_free_disk_is_that_of_the_temporary_folder(temporary: Path) -> None:
    assert 0 < budget_of("disk", PLENTY).limit <= PLENTY


def test_free_memory_is_the_least_of_machine_and_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 16000 kB\nMemAvailable:    9000 kB\n")
    (tmp_path / "memory.current").write_text("6000000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 1000000\n")
    monkeypatch.setattr(picture_cache, "MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(picture_cache, "CONTROL_GROUP", tmp_path)
    found = []

    for limit in ("max", "8000000", "90000000"):
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        found.append(free_memory())

    assert found == [9000 * 1024, 3_000_000, 9000 * 1024]
