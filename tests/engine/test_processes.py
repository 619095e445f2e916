"""Several processes learn what one does that sees their batches."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PROGRAM = Path(__file__).with_name("two_processes.py")


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("processes")
    together = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for command in (together, [sys.executable]):
        run = subprocess.run([*command, PROGRAM, folder], env=environment, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("?-?.json")}


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one_that_accumulates_their_batches(reports: dict[str, Any]) -> None:
    apart = [loss for pair in zip(reports["2-0"]["losses"], reports["2-1"]["losses"], strict=True) for loss in pair]

    np.testing.assert_allclose(apart, reports["1-0"]["losses"], rtol=1e-5)
    assert reports["2-0"]["row"]["loss"] == pytest.approx(np.mean(apart), rel=1e-6)  # of all processes
    assert reports["2-1"]["row"]["loss"] == reports["2-0"]["row"]["loss"]


@pytest.mark.slow
def test_two_processes_move_as_one_does(reports: dict[str, Any]) -> None:
    one, first, second = (np.array(reports[name]["weights"]) for name in ("1-0", "2-0", "2-1"))
    np.testing.assert_array_equal(first, second)

    moves, expected = np.diff(first, axis=0), np.diff(one, axis=0)  # without momentum, gradients times the rate
    for move, wanted in zip(moves, expected, strict=True):
        assert np.abs(move - wanted).max() <= 1e-4 * np.abs(wanted).max()
