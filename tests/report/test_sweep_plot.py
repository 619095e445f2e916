"""The picture of a sweep."""

from pathlib import Path

import cv2
import pytest

from yoloslim.report.sweep_plot import plot_sweep

PERCENTS = [0.0, 0.3, 0.6, 0.9]
COSTS = {"parameters": [1.0, 0.5, 0.2, 0.1], "MACs": [1.0, 0.6, 0.4, 0.1], "latency, torch": [1.0, 1.1, 0.7, 0.5]}


@pytest.mark.parametrize("knee", [None, 0.6])
def test_a_sweep_becomes_a_picture_with_its_knee_marked(knee: float | None, tmp_path: Path) -> None:
    plot_sweep(tmp_path / "a.png", PERCENTS, [0.8, 0.79, 0.7, 0.1], COSTS, knee=knee, cliff=(0.6, 0.9))
    plot_sweep(tmp_path / "b.png", PERCENTS, [0.8, 0.79, 0.7, 0.1], COSTS, knee=None, cliff=(0.6, 0.9))

    picture, without = (cv2.imread(str(tmp_path / name)) for name in ("a.png", "b.png"))
    assert picture.shape == (720, 960, 3)
    assert picture.std() > 5
    assert (picture != without).any() == (knee is not None)


def test_a_network_that_finds_nothing_is_drawn_too(tmp_path: Path) -> None:
    plot_sweep(tmp_path / "a.png", PERCENTS, [0.0] * 4, {"parameters": COSTS["parameters"]}, knee=0.9, cliff=(0.0, 0.3))
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
