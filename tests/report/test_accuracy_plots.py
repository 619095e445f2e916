"""Plots of accuracy: written for any number of classes and any names, whatever was found."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from yoloslim.report.accuracy_plots import write_accuracy_plots


def pixels(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture


@pytest.mark.parametrize(
    "names",
    [
        ("hand",),
        ("round", "$x$", "_square", "Expressway-toll-station of some length", "画像"),
        tuple(f"class {number}" for number in range(30)),
    ],
    ids=len,
)
def test_plots_are_whole_pictures(tmp_path: Path, names: tuple[str, ...]) -> None:
    count = len(names)
    curves = np.linspace(1, 0, 101) * np.linspace(0.2, 1, count)[:, None]
    confusion = np.diag(np.arange(1, count + 2))

    write_accuracy_plots(tmp_path, names, curves, confusion, 0.25)

    for name in ("pr_curve.png", "confusion.png"):
        assert min(pixels(tmp_path / name).shape[:2]) > 300


def test_classes_without_truths_and_detectors_without_detections_are_drawn_empty(tmp_path: Path) -> None:
    write_accuracy_plots(tmp_path, ("a", "b"), np.full((2, 101), np.nan), np.zeros((3, 3), np.int64), 0.0)

    assert {path.name for path in tmp_path.iterdir()} == {"pr_curve.png", "confusion.png"}


def test_what_is_confused_more_often_is_darker(tmp_path: Path) -> None:
    curves = np.zeros((2, 101))
    dark, light = (
        pixels(written(tmp_path / str(share), curves, np.array([[share, 10 - share, 0], [0, 0, 0], [0, 0, 0]])))
        for share in (9, 1)
    )

    difference = light.astype(int).sum(axis=2) - dark.astype(int).sum(axis=2)
    rows, columns = np.nonzero(abs(difference) > 150)
    middle = (columns.min() + columns.max()) // 2
    assert difference[rows.min() : rows.max(), columns.min() : middle].mean() > 100  # found as the first: darker
    assert difference[rows.min() : rows.max(), middle : columns.max()].mean() < -100


def written(folder: Path, curves: np.ndarray, confusion: np.ndarray) -> Path:
    write_accuracy_plots(folder, ("a", "b"), curves, confusion, 0.5)
    return folder / "confusion.png"
