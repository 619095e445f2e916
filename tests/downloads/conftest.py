"""Files come from where they are published, into a cache of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder of the test, which does not exist yet; files come from where they are published."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("YOLOSLIM_CACHE", str(folder))
    monkeypatch.delenv("YOLOSLIM_MIRROR")
    return folder
