"""Anchors fit the boxes of a data set better than plain k-means does."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from yoloslim.data.anchors import find_anchors, fit_of, shape_iou
from yoloslim.data.datafile import load_data_file
from yoloslim.data.dataset import load_dataset
from yoloslim.data.survey import survey
from yoloslim.errors import DataError

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def mixed_sizes(count: int = 400) -> NDArray[np.float64]:
    """Boxes around four shapes, some of them far larger than the others."""
    rng = np.random.default_rng(0)
    shapes = np.array([[10, 20], [30, 30], [60, 25], [250, 300]])
    return shapes[rng.integers(4, size=count)] * rng.lognormal(0, 0.2, (count, 2))


def plain_k_means(sizes: NDArray[np.float64], count: int, rng: np.random.Generator) -> float:
    """Mean IoU of k-means with random starts and means."""
    anchors, before = sizes[rng.choice(len(sizes), count, replace=False)], np.full(len(sizes), -1)
    while True:
        nearest = shape_iou(anchors, sizes).argmax(0)
        if (nearest == before).all():
            return float(shape_iou(anchors, sizes).max(0).mean())
        before = nearest
        groups = [sizes[nearest == index] for index in range(count)]
        anchors = np.array([g.mean(0) if len(g) else old for g, old in zip(groups, anchors, strict=True)])


def test_overlap_is_that_of_boxes_laid_at_one_corner() -> None:
    anchors, sizes = np.array([[10.0, 20], [4, 4]]), np.array([[10.0, 20], [20, 10], [2, 2]])

    expected = [[1, 100 / 300, 4 / 200], [16 / 200, 16 / 200, 4 / 16]]
    np.testing.assert_allclose(shape_iou(anchors, sizes), expected)


def test_figures_of_a_fit_are_those_counted_by_hand() -> None:
    sizes = np.array([[10.0, 10], [10, 5], [10, 2], [100, 100]])  # overlaps with 10x10: 1, .5, .2, .01

    fit = fit_of(sizes, ((10.0, 10.0),))

    assert fit.mean_iou == pytest.approx((1 + 0.5 + 0.2 + 0.01) / 4)
    assert fit.recall_iou == 0.5
    assert fit.recall_ratio == 0.5  # 10 and 2 differ by a factor of 5


def test_an_anchor_without_width_fits_nothing() -> None:
    fit = fit_of(np.array([[10.0, 10]]), ((0.0, 3.0), (10.0, 10.0)))

    assert (fit.mean_iou, fit.recall_ratio) == (1, 1)
    assert fit_of(np.array([[10.0, 10]]), ((0.0, 3.0),)).mean_iou == 0


@pytest.mark.parametrize("count", [1, 4, 9])
def test_anchors_are_boxes_sorted_by_area(count: int) -> None:
    found = find_anchors(mixed_sizes(), count)

    areas = [width * height for width, height in found]
    assert len(set(found)) == count
    assert areas == sorted(areas)
    assert areas[0] > 0


def test_clear_groups_of_boxes_are_found() -> None:
    shapes = np.array([[10.0, 20], [60, 25], [250, 300]])

    found = find_anchors(np.repeat(shapes, 50, axis=0), 3)

    np.testing.assert_allclose(found, shapes)


def test_anchors_beat_the_best_of_twenty_plain_k_means() -> None:
    sizes, rng = mixed_sizes(), np.random.default_rng(1)

    best = max(plain_k_means(sizes, 6, rng) for _ in range(20))

    assert fit_of(sizes, find_anchors(sizes, 6)).mean_iou > best


def test_the_same_seed_gives_the_same_anchors() -> None:
    sizes = mixed_sizes()

    assert find_anchors(sizes, 6, seed=3) == find_anchors(sizes, 6, seed=3)


def test_a_large_data_set_is_searched_by_a_part_of_its_boxes() -> None:
    sizes = mixed_sizes(30_000)

    found = find_anchors(sizes, 4)

    assert fit_of(sizes, found).mean_iou == pytest.approx(fit_of(sizes[:9_000], found).mean_iou, abs=0.005)
    assert fit_of(sizes, found).mean_iou > plain_k_means(sizes[:9_000], 4, np.random.default_rng(1))


@pytest.mark.parametrize("sizes", [np.zeros((0, 2)), np.array([[10.0, 20]] * 50 + [[30, 30]])])
def test_too_few_different_boxes_are_refused(sizes: NDArray[np.float64]) -> None:
    with pytest.raises(DataError, match=r"at least 3 different shapes for 3 anchors, found \d among \d+ boxes"):
        find_anchors(sizes, 3)


def test_a_box_smaller_than_a_pixel_gives_no_anchor_without_area() -> None:
    found = find_anchors(np.array([[0.01, 0.02], [0.3, 0.3], [5, 5]]), 3)

    assert min(min(pair) for pair in found) > 0


@pytest.mark.medium
@pytest.mark.parametrize("count", [6, 9])
@pytest.mark.parametrize("name", ["bccd", "aerial_cars"])
def test_real_boxes_are_fitted_better_than_by_plain_k_means_in_seconds(
    name: str, count: int, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YOLOSLIM_TEST_DATA", str(data_dir))
    start = time.perf_counter()
    dataset = load_dataset(load_data_file(EXAMPLES / f"{name}.yaml"), "train")
    sizes = survey(dataset).trained_sizes((416, 416), "letterbox")

    found = find_anchors(sizes, count)

    assert time.perf_counter() - start < 10
    rng = np.random.default_rng(0)
    assert fit_of(sizes, found).mean_iou >= max(plain_k_means(sizes, count, rng) for _ in range(20))
