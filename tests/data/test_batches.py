"""Which pictures make a batch, and how large it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoloslim.boxes.placement import place
from yoloslim.data.batches import BatchSizes, EpochBatches, LoaderSettings, Share
from yoloslim.data.geometry import fitted_size
from yoloslim.data.layout import Layout, fitted_sizes, holding_size
from yoloslim.data.sampling import Draws
from yoloslim.errors import RecipeError

LAYOUT = Layout((416, 320), "letterbox")
SIDES = st.tuples(st.integers(1, 3000), st.integers(1, 3000))


def epoch_batches(
    count: int, batch: int, seed: int = 0, settings: LoaderSettings | None = None, share: Share | None = None
) -> EpochBatches:
    """Batches of pictures whose proportions run from tall to wide."""
    pictures = np.stack([np.linspace(100, 600, count), np.full(count, 300)], axis=1).astype(np.int64)
    sizes = BatchSizes(LAYOUT, settings or LoaderSettings(), seed)
    return EpochBatches(Draws(np.ones(count), seed), pictures, sizes, batch, share)


@pytest.mark.parametrize("shape", ["fixed", "rect"])
@pytest.mark.parametrize(
    ("count", "batch", "sizes"),
    [(7, 3, [3, 3]), (8, 3, [2, 3, 3]), (6, 3, [3, 3]), (2, 16, [2]), (1, 16, [1]), (3, 1, [1, 1, 1])],
)
def test_the_last_batch_is_kept_unless_it_has_a_single_picture(
    count: int, batch: int, sizes: list[int], shape: str
) -> None:
    batches = epoch_batches(count, batch, settings=LoaderSettings(shape=shape))

    keys = list(batches)

    assert sorted(len(found) for found in keys) == sizes
    assert len(batches) == len(sizes)
    assert len({key.draw for found in keys for key in found}) == sum(sizes)


@pytest.mark.parametrize("shape", ["fixed", "rect"])
@pytest.mark.parametrize("count", [1, 6, 11])
def test_processes_that_share_an_epoch_get_as_many_batches_and_all_pictures(count: int, shape: str) -> None:
    settings = LoaderSettings(shape=shape)

    shares = [list(epoch_batches(count, 2, settings=settings, share=Share(rank, 3))) for rank in range(3)]

    assert len({len(batches) for batches in shares}) == 1
    assert {key.draw for batches in shares for keys in batches for key in keys} == set(range(count))


@pytest.mark.parametrize("settings", [LoaderSettings(), LoaderSettings(shape="rect"), LoaderSettings(multi_scale=0.5)])
def test_seed_and_epoch_decide_the_order(settings: LoaderSettings) -> None:
    first, again = (epoch_batches(40, 3, 0, settings) for _ in range(2))

    assert first.keys(2) == again.keys(2)
    assert first.keys(2) != first.keys(3)
    assert first.keys(2) != epoch_batches(40, 3, 1, settings).keys(2)


def test_an_epoch_can_begin_in_its_middle() -> None:
    batches = epoch_batches(20, 3)
    batches.epoch, batches.first = 1, 4

    assert list(batches) == batches.keys(1)[4:]


def test_rectangular_batches_are_of_like_proportions_in_random_order() -> None:
    keys = epoch_batches(60, 4, settings=LoaderSettings(shape="rect")).keys(0)

    spans = [max(found) - min(found) for found in ([key.draw for key in batch] for batch in keys)]
    widths = [batch[0].size[0] for batch in keys]

    assert max(spans) == 3  # pictures are numbered by their proportions
    assert widths != sorted(widths)
    assert all(key.size == batch[0].size for batch in keys for key in batch)


def test_among_pictures_of_the_same_proportions_chance_decides_who_comes_together() -> None:
    pictures = np.full((30, 2), 100)
    sizes = BatchSizes(LAYOUT, LoaderSettings(shape="rect"), 0)
    batches = EpochBatches(Draws(np.ones(30), 0), pictures, sizes, 3)

    together = [{frozenset(key.draw for key in batch) for batch in batches.keys(epoch)} for epoch in range(2)]

    assert together[0] != together[1]


# ---- sizes -----------------------------------------------------------------------------------------------------------


@given(st.lists(SIDES, min_size=1, max_size=5), st.sampled_from([8, 32, 64]))
def test_the_size_that_holds_pictures_is_the_smallest_multiple(sides: list[tuple[int, int]], stride: int) -> None:
    fitted = fitted_sizes(np.array(sides), Layout((448, 320), "letterbox"))

    size = holding_size(np.array(sides), (448, 320), stride)

    for length, limit, inside in zip(size, (448, 320), fitted.max(axis=0), strict=True):
        assert inside <= length <= limit
        assert length % stride == 0
        assert length - inside < stride


@given(st.lists(st.tuples(st.integers(20, 900), st.integers(20, 900)), min_size=1, max_size=4))
def test_a_picture_is_as_large_in_a_rectangular_batch_as_in_the_whole_input(sides: list[tuple[int, int]]) -> None:
    size = holding_size(np.array(sides), (448, 320), 32)

    for width, height in sides:
        picture = np.zeros((height, width, 3), np.uint8)
        in_batch, in_whole = (place(picture, one, "letterbox")[1] for one in (size, (448, 320)))
        assert abs(in_batch.scale_x - in_whole.scale_x) * width < 1.01  # a pixel: sizes are whole numbers
        assert abs(in_batch.scale_y - in_whole.scale_y) * height < 1.01


@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from(["letterbox", "stretch"]))
def test_fitted_sizes_are_those_of_pictures_one_by_one(width: int, height: int, resize: str) -> None:
    picture = np.broadcast_to(np.uint8(0), (height, width, 3))

    found = fitted_sizes(np.array([[width, height]]), Layout((448, 320), resize))

    assert tuple(found[0].tolist()) == fitted_size(picture, (448, 320), resize)


def test_the_size_changes_every_few_batches_in_multiples_of_the_stride() -> None:
    settings = LoaderSettings(multi_scale=0.5, multi_scale_every=5)
    sizes = [batch[0].size for batch in epoch_batches(200, 2, settings=settings).keys(0)]

    blocks = [set(sizes[start : start + 5]) for start in range(0, 100, 5)]

    assert {len(block) for block in blocks} == {1}
    assert len(set(sizes)) > 5
    assert {side % 32 for size in sizes for side in size} == {0}
    widths = [width for width, _ in sizes]
    assert 0.5 * 416 - 16 <= min(widths) < 300
    assert 530 < max(widths) <= BatchSizes(LAYOUT, settings, 0).largest[0] == 640


def test_every_process_has_the_same_size_at_the_same_time() -> None:
    settings = LoaderSettings(multi_scale=0.5, multi_scale_every=1)

    shares = [epoch_batches(30, 2, settings=settings, share=Share(rank, 2)).keys(3) for rank in range(2)]

    sizes = [[batch[0].size for batch in keys] for keys in shares]
    assert sizes[0] == sizes[1]


def test_rectangular_batches_need_a_letterbox() -> None:
    with pytest.raises(RecipeError, match="shape: rect needs resize = letterbox, found stretch"):
        BatchSizes(Layout((64, 64), "stretch"), LoaderSettings(shape="rect"), 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [("multi_scale", 0.95), ("multi_scale", float("nan")), ("multi_scale_every", 0), ("cache_gb", -1)],
)
def test_a_setting_out_of_range_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(RecipeError, match=rf"loader {name}: expected .* to .*, found"):
        LoaderSettings(**{name: value})
