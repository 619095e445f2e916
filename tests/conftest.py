"""What every test may ask for: the folder of real data, and settings that make runs repeatable."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Read when torch is first imported, here and in the processes that tests start: two workers on two cores must not
# start two threads each. Setting it through torch would import torch for tests that need none.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # over the 2 that a worker inherits from the process that started it
else:
    os.environ.setdefault("OMP_NUM_THREADS", "2")

os.environ["YOLOSLIM_CACHE"] = os.devnull  # no test writes into the user's cache; those that need one name a folder

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
