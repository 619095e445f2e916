"""How often each picture comes in an epoch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoloslim.boxes.annotation import Annotation
from yoloslim.data.annotation_table import AnnotationTable
from yoloslim.data.sampling import Draws, SamplingSettings, expected_draws, repeat_factors
from yoloslim.errors import DataError, RecipeError

WEIGHTS = st.lists(st.floats(0.01, 5), min_size=1, max_size=30)


def table(*classes: list[int]) -> AnnotationTable:
    """Pictures that hold objects of these classes."""
    return AnnotationTable.of(
        [
            Annotation(np.ones((len(ids), 4), np.float32), np.array(ids, np.int64), np.zeros(len(ids), np.bool_))
            for ids in classes
        ]
    )


def expected(annotations: AnnotationTable, settings: SamplingSettings, sets: list[int] | None = None) -> list[float]:
    chosen = np.array(sets or [0] * len(annotations))
    return expected_draws(annotations, chosen, max(chosen) + 1, settings).tolist()


def test_by_default_each_picture_comes_once() -> None:
    assert expected(table([0], [], [1, 0]), SamplingSettings()) == [1, 1, 1]


def test_pictures_come_as_often_as_their_data_set_weighs() -> None:
    assert expected(table([0], [], [1]), SamplingSettings(weights=(1, 3)), [0, 1, 1]) == [1, 3, 3]


def test_a_picture_is_repeated_for_the_rarest_of_its_classes() -> None:
    pictures = table(*[[0, 0]] * 7, [0, 1], [2], [])  # class 1 in one of ten pictures, class 2 too

    factors = repeat_factors(pictures, np.ones(10), threshold=0.4)

    np.testing.assert_allclose(factors, [1] * 7 + [2, 2, 1])  # sqrt(.4 / .1)


def test_a_class_counts_as_often_as_its_pictures_come() -> None:
    pictures = table([0], [0], [1])

    factors = repeat_factors(pictures, np.array([1, 1, 2]), threshold=0.5)

    np.testing.assert_allclose(factors, [1, 1, 1])


def test_background_has_its_share_of_the_epoch() -> None:
    draws = np.array(expected(table([0], [0], [1], []), SamplingSettings(background=0.4)))

    assert draws[3] / draws.sum() == pytest.approx(0.4)
    assert draws[:3].tolist() == [1, 1, 1]


def test_background_can_be_left_out() -> None:
    assert expected(table([0], [], []), SamplingSettings(background=0.0)) == [1, 0, 0]
    assert expected(table([0]), SamplingSettings(background=0.0)) == [1]


def test_a_share_of_background_that_is_not_there_is_an_error() -> None:
    with pytest.raises(DataError, match=r"background: 0.1 asks for pictures without objects, found none"):
        expected(table([0], [1]), SamplingSettings(background=0.1))


def test_there_is_a_weight_for_each_set() -> None:
    with pytest.raises(RecipeError, match="weights: expected one for each of 1 data sets, found 2"):
        expected(table([0]), SamplingSettings(weights=(1, 2)))


@pytest.mark.parametrize(
    "settings", [{"weights": (1, 0)}, {"repeat_threshold": 1.5}, {"background": 0.99}, {"background": float("nan")}]
)
def test_a_setting_out_of_range_is_refused_by_name(settings: dict[str, float]) -> None:
    with pytest.raises(RecipeError, match=rf"sampling {next(iter(settings))}: expected .* to .*, found"):
        SamplingSettings(**settings)


# ---- draws -----------------------------------------------------------------------------------------------------------


@given(WEIGHTS, st.integers(0, 2**32), st.integers(0, 50))
def test_every_epoch_is_as_long_and_draws_each_picture_as_expected_rounded(
    weights: list[float], seed: int, epoch: int
) -> None:
    draws = Draws(np.array(weights), seed)
    scaled = np.array(weights) * len(draws) / sum(weights)

    counts = np.bincount(draws.of(epoch), minlength=len(weights))

    assert counts.sum() == len(draws) == max(1, round(sum(weights)))
    assert (counts >= np.floor(scaled - 1e-6)).all()
    assert (counts <= np.ceil(scaled + 1e-6)).all()


def test_over_many_epochs_each_picture_comes_as_often_as_expected() -> None:
    weights = np.array([0.3, 0.5, 1.0, 1.7, 2.5])
    draws = Draws(weights, seed=0)

    counts = sum(np.bincount(draws.of(epoch), minlength=5) for epoch in range(2000)) / 2000

    np.testing.assert_allclose(counts, weights, atol=0.03)


def test_where_each_comes_once_all_are_drawn_in_order() -> None:
    assert Draws(np.ones(9), seed=3).of(5).tolist() == list(range(9))


def test_seed_and_epoch_decide_what_is_drawn() -> None:
    weights = np.full(100, 0.5)
    draws = Draws(weights, seed=0)

    first, second = draws.of(0).tolist(), draws.of(1).tolist()

    assert draws.of(0).tolist() == first == Draws(weights, seed=0).of(0).tolist()
    assert first != second
    assert first != Draws(weights, seed=1).of(0).tolist()
