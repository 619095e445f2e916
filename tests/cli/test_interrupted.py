"""``compress`` stopped at every stage, by Ctrl-C and by SIGKILL, as a real process: it goes on and ends the same."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="sends signals")]

BLOCK = """[convolutional]
batch_normalize=1
filters={filters}
size=3
stride=2
pad=1
activation=leaky
"""
CFG = (
    "[net]\nwidth=64\nheight=64\n"
    + "".join(BLOCK.format(filters=filters) for filters in (8, 16, 32))
    + "[convolutional]\nfilters=21\nsize=1\nactivation=linear\n"
    + "[yolo]\nmask=0,1,2\nanchors=8,8,16,16,32,32\nclasses=2\n"
)
RECIPE = """
[model]
cfg = "squares.cfg"
[data]
data = "squares.yaml"
[train]
epochs = 3
batch = 8
learning_rate = 0.05
workers = 1
ema = 0.9
[sparsity]
epochs = 3
schedule = "fade"
[prune]
target = "params=0.5"
[finetune]
epochs = 2
"""
TRAINED = ("dense", "sparse", "finetuned")
INTERRUPTIONS = [
    ("dense ...", signal.SIGKILL),
    ("dense 1/3", signal.SIGINT),
    ("dense 2/3", signal.SIGKILL),
    ("sparse ...", signal.SIGINT),
    ("sparse 2/3", signal.SIGKILL),
    ("pruned ...", signal.SIGKILL),
    ("pruned ...", signal.SIGINT),
    ("finetuned ...", signal.SIGINT),
    ("finetuned 1/2", signal.SIGKILL),
    ("exported ...", signal.SIGKILL),
    ("exported ...", signal.SIGINT),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recipe, its network, and pictures with a bright or a dark square each."""
    rng = np.random.default_rng(0)
    for number in range(32):
        split = "val" if number < 8 else "train"
        for name in ("images", "labels"):
            (tmp_path / name / split).mkdir(parents=True, exist_ok=True)
        picture, side = np.full((64, 64, 3), 128, np.uint8), int(rng.integers(10, 24))
        x, y = rng.integers(0, 64 - side, 2).tolist()
        picture[y : y + side, x : x + side] = 255 * (number % 2)
        cv2.imwrite(str(tmp_path / "images" / split / f"{number}.png"), picture)
        box = [(x + side / 2) / 64, (y + side / 2) / 64, side / 64, side / 64]
        (tmp_path / "labels" / split / f"{number}.txt").write_text(" ".join(map(str, [number % 2, *box])))
    (tmp_path / "squares.yaml").write_text("train: images/train\nval: images/val\nnames: [dark, bright]\n")
    (tmp_path / "squares.cfg").write_text(CFG)
    (tmp_path / "squares.toml").write_text(RECIPE)
    return tmp_path


def start(folder: Path, out: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "yoloslim", "compress", "squares.toml", "--out", out, "--device", "cpu"]
    pipe = subprocess.PIPE
    # A session of its own: the signal goes to its whole group, workers included, as a terminal's Ctrl-C does.
    return subprocess.Popen(command, cwd=folder, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def interrupt(process: subprocess.Popen[str], moment: str, kind: signal.Signals, delay: float) -> tuple[int, str]:
    """Sends a signal some time after a line was printed; gives the exit code and what was told on stderr."""
    assert process.stdout is not None
    if any(moment in line for line in process.stdout):
        time.sleep(delay)
        os.killpg(process.pid, kind)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


def figures(folder: Path, out: str) -> list[Any]:
    """Every stage's size and accuracy, and the losses of every epoch."""
    stages = json.loads((folder / out / "summary.json").read_text())["stages"]
    trained = [json.loads((folder / out / name / "results.json").read_text()) for name in TRAINED]
    losses = [[row["loss"] for row in rows] for rows in trained]
    return [(stage["name"], stage["params"], stage["map50"], stage["map"]) for stage in stages] + losses


def test_a_run_that_is_stopped_at_every_stage_ends_as_one_that_never_was(folder: Path) -> None:
    rng = random.Random(0)  # when in the stage
    codes = []
    for moment, kind in INTERRUPTIONS:
        code, errors = interrupt(start(folder, "stopped"), moment, kind, 0.04 * rng.random())
        codes.append(code)
        if kind is signal.SIGINT and code:
            assert code == 130, errors
            assert [line for line in errors.splitlines() if not line.startswith(("INFO", "warning: target"))] == [
                "error: interrupted"
            ]
    ended = start(folder, "stopped")
    _, errors = ended.communicate(timeout=120)
    assert ended.returncode == 0, errors
    whole = start(folder, "whole")
    whole.communicate(timeout=120)

    assert codes.count(-signal.SIGKILL) >= 3, codes
    assert codes.count(130) >= 3, codes
    assert figures(folder, "stopped") == figures(folder, "whole")
    assert not list((folder / "stopped").rglob(".*")), "half-written files were left"
