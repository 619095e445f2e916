from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoloslim.boxes.annotation import Annotation
from yoloslim.boxes.placement import GREY, ResizeMode, place
from yoloslim.data.augment import AugmentSettings, random_colours, random_mosaic, training_sample
from yoloslim.data.geometry import Pair
from yoloslim.data.layout import Layout
from yoloslim.errors import RecipeError

WHITE = 255
SEEDS = st.integers(0, 2**32)
MOVES_ONLY = AugmentSettings(hue=0, saturation=0, value=0, rotate=10, shear=5, min_visible=0, min_side_px=0)


def annotation(*boxes: tuple[float, float, float, float]) -> Annotation:
    count = len(boxes)
    return Annotation(np.array(boxes, np.float32).reshape(-1, 4), np.arange(count), np.zeros(count, np.bool_))


def painted(width: int, height: int, box: tuple[int, int, int, int], class_id: int = 0) -> Pair:
    """A black picture with one white rectangle, and its box."""
    picture = np.zeros((height, width, 3), np.uint8)
    left, top, right, bottom = box
    picture[top:bottom, left:right] = WHITE
    return Pair(picture, dataclasses.replace(annotation(box), class_ids=np.array([class_id])))


def bright_box(picture: np.ndarray) -> list[int]:
    """The bounding box of what is at least half white."""
    ys, xs = np.nonzero(picture.min(axis=2) > (WHITE + GREY) // 2)
    return [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


def samples() -> list[Pair]:
    boxes = [(10, 10, 60, 40), (40, 20, 90, 70), (5, 50, 45, 90), (30, 30, 100, 100)]
    return [painted(120 + 20 * k, 110, box, k) for k, box in enumerate(boxes)]


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
@pytest.mark.parametrize("shape", [(110, 200, 3), (50, 30, 3), (96, 96, 3)])
def test_without_augmentation_a_sample_is_what_the_network_sees_when_it_runs(
    resize: ResizeMode, shape: tuple[int, ...]
) -> None:
    picture = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    pair = Pair(picture, annotation((3, 4, 20, 25)))
    layout = Layout((128, 96), resize)

    found = training_sample([pair], 0, np.random.default_rng(0), layout, AugmentSettings.off())

    canvas, placement = place(picture, layout.size, resize)
    np.testing.assert_array_equal(found.picture, canvas)
    np.testing.assert_allclose(found.annotation.boxes, placement.to_input(pair.annotation.boxes), atol=1e-4)


@given(SEEDS, st.sampled_from(["letterbox", "stretch"]), st.sampled_from([0.0, 1.0]))
def test_boxes_lie_inside_the_input_whatever_is_drawn(seed: int, resize: ResizeMode, mosaic: float) -> None:
    settings = dataclasses.replace(MOVES_ONLY, mosaic=mosaic)

    found = training_sample(samples(), 1, np.random.default_rng(seed), Layout((96, 64), resize), settings)

    boxes = found.annotation.boxes
    assert found.picture.shape == (64, 96, 3)
    assert (boxes >= 0).all()
    assert (boxes <= [96, 64, 96, 64]).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()


@given(SEEDS)
def test_a_single_picture_keeps_its_box_on_the_painted_rectangle(seed: int) -> None:
    settings = dataclasses.replace(MOVES_ONLY, mosaic=0, rotate=0, shear=0)
    layout = Layout((192, 160), "letterbox")

    found = training_sample(samples()[:1], 0, np.random.default_rng(seed), layout, settings)

    for box in found.annotation.boxes:
        if (box[2:] - box[:2] > 3).all():
            np.testing.assert_allclose(bright_box(found.picture), box, atol=1.01)


@given(SEEDS)
def test_the_boxes_of_a_mosaic_cover_all_that_is_painted_and_no_more(seed: int) -> None:
    settings = dataclasses.replace(MOVES_ONLY, mosaic=1, rotate=0, shear=0)

    found = training_sample(samples(), 2, np.random.default_rng(seed), Layout((192, 160), "letterbox"), settings)

    inside = np.zeros(found.picture.shape[:2], np.bool_)
    for left, top, right, bottom in found.annotation.boxes:
        core = np.s_[int(np.ceil(top + 1)) : int(bottom - 1), int(np.ceil(left + 1)) : int(right - 1)]
        assert (found.picture[core] > GREY).all()
        inside[max(0, int(top - 1)) : int(bottom + 2), max(0, int(left - 1)) : int(right + 2)] = True
    assert not (found.picture[~inside] > GREY + 1).any()


def test_all_four_pictures_of_a_mosaic_meet_inside_the_input() -> None:
    colours = (20, 60, 160, 220)
    pairs = [Pair(np.full((64, 96, 3), colour, np.uint8), Annotation.empty()) for colour in colours]
    settings = dataclasses.replace(AugmentSettings.off(), scale=0.5)

    for seed in range(20):
        rng = np.random.default_rng(seed)
        found = random_mosaic(pairs, rng, Layout((96, 64), "stretch"), settings)
        assert set(colours) <= set(np.unique(found.picture).tolist())


def test_the_picture_that_is_asked_for_is_in_its_mosaic() -> None:
    class Asked(list[Pair]):
        def __getitem__(self, index: Any) -> Any:
            self.indices.append(index)
            return super().__getitem__(index)

        indices: list[int]

    pictures = Asked(samples())
    pictures.indices = []
    settings = AugmentSettings(mosaic=1)

    training_sample(pictures, 3, np.random.default_rng(0), Layout((64, 64), "letterbox"), settings)

    assert len(pictures.indices) == 4
    assert pictures.indices[0] == 3


def test_a_mosaic_can_be_made_of_one_picture() -> None:
    found = training_sample(
        samples()[:1], 0, np.random.default_rng(0), Layout((64, 64), "letterbox"), AugmentSettings(mosaic=1)
    )

    assert found.picture.shape == (64, 64, 3)


def test_the_same_generator_gives_the_same_sample_and_leaves_its_sources_alone() -> None:
    pictures = samples()
    before = [(pair.picture.copy(), pair.annotation.boxes.copy()) for pair in pictures]
    layout = Layout((96, 96), "letterbox")

    first, second = (
        training_sample(pictures, 0, np.random.default_rng(5), layout, AugmentSettings()) for _ in range(2)
    )

    np.testing.assert_array_equal(first.picture, second.picture)
    np.testing.assert_array_equal(first.annotation.boxes, second.annotation.boxes)
    for pair, (picture, boxes) in zip(pictures, before, strict=True):
        np.testing.assert_array_equal(pair.picture, picture)
        np.testing.assert_array_equal(pair.annotation.boxes, boxes)


def test_objects_of_which_too_little_is_left_are_no_targets() -> None:
    settings = AugmentSettings(mosaic=0, flip=0, rotate=0, translate=0.5, scale=0, min_visible=0.9)
    whole = dataclasses.replace(settings, min_visible=0)
    layout = Layout((100, 100), "letterbox")
    pair = painted(100, 100, (5, 5, 95, 95))

    def counts(kind: AugmentSettings) -> set[int]:
        generators = map(np.random.default_rng, range(20))
        return {len(training_sample([pair], 0, rng, layout, kind).annotation) for rng in generators}

    assert counts(settings) == {0, 1}
    assert counts(whole) == {1}


@given(SEEDS)
def test_colours_change_neither_shape_nor_objects(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pair = Pair(rng.integers(0, 256, (8, 9, 3), np.uint8), annotation((1, 2, 3, 4)))

    found = random_colours(*pair, rng, AugmentSettings(hue=0.5, saturation=1, value=1))

    assert found.picture.shape == pair.picture.shape
    assert found.picture.dtype == np.uint8
    assert found.annotation is pair.annotation


def test_the_hue_turns_around_the_colour_circle() -> None:
    red = Pair(np.full((2, 2, 3), (0, 0, 255), np.uint8), Annotation.empty())
    settings = dataclasses.replace(AugmentSettings.off(), hue=0.5)

    found = {
        tuple((random_colours(*red, np.random.default_rng(seed), settings).picture[0, 0] > 127).tolist())
        for seed in range(60)
    }

    assert {(True, False, False), (False, True, False), (False, False, True)} <= found  # blue, green, red


def test_brightness_alone_keeps_grey_grey() -> None:
    grey = Pair(np.full((2, 2, 3), GREY, np.uint8), Annotation.empty())
    settings = dataclasses.replace(AugmentSettings.off(), value=0.4)

    found = [random_colours(*grey, np.random.default_rng(seed), settings).picture for seed in range(50)]

    assert all(len(np.unique(picture)) == 1 for picture in found)
    assert 0.59 * GREY < np.min(found) < 0.7 * GREY
    assert 1.3 * GREY < np.max(found) < 1.41 * GREY


# ---- mixup and cut-out -----------------------------------------------------------------------------------------------

PLAIN = AugmentSettings.off()


def test_mixup_shows_two_pictures_with_the_objects_of_both() -> None:
    pairs = [painted(64, 64, (0, 0, 32, 32)), painted(64, 64, (32, 32, 64, 64), class_id=1)]

    found = training_sample(
        pairs, 0, np.random.default_rng(1), Layout((64, 64), "letterbox"), dataclasses.replace(PLAIN, mixup=1.0)
    )

    first, second = int(found.picture[8, 8, 0]), int(found.picture[48, 48, 0])
    assert found.annotation.class_ids.tolist() == [0, 1]
    assert 0.2 * WHITE < first < 0.8 * WHITE
    assert first + second == pytest.approx(WHITE, abs=1)


def test_mixup_comes_as_often_as_set() -> None:
    settings = dataclasses.replace(PLAIN, mixup=0.3)
    layout = Layout((32, 32), "letterbox")

    counts = [
        len(training_sample(samples()[:1], 0, np.random.default_rng(k), layout, settings).annotation)
        for k in range(200)
    ]

    assert set(counts) == {1, 2}
    assert 0.2 < counts.count(2) / 200 < 0.4


@given(SEEDS)
def test_cut_out_paints_one_grey_rectangle_no_larger_than_set(seed: int) -> None:
    picture = np.full((50, 80, 3), WHITE, np.uint8)
    settings = dataclasses.replace(PLAIN, cutout=1.0, cutout_size=0.5)

    found = training_sample(
        [Pair(picture, annotation())], 0, np.random.default_rng(seed), Layout((80, 50), "stretch"), settings
    )

    ys, xs = np.nonzero((found.picture == GREY).all(axis=2))
    sides = (np.ptp(xs) + 1, np.ptp(ys) + 1) if len(xs) else (0, 0)
    assert len(xs) == sides[0] * sides[1]
    assert sides[0] <= 40
    assert sides[1] <= 25
    assert (found.picture == WHITE).all(axis=2).sum() + len(xs) == 80 * 50


def test_what_is_cut_out_is_no_target() -> None:
    pair = painted(64, 64, (28, 28, 36, 36))
    settings = dataclasses.replace(PLAIN, cutout=1.0, cutout_size=1.0, min_visible=0.2)
    kept = set()

    for seed in range(80):
        found = training_sample([pair], 0, np.random.default_rng(seed), Layout((64, 64), "stretch"), settings)
        visible = int((found.picture == WHITE).all(axis=2).sum()) / 64
        assert len(found.annotation) == (visible >= 0.2)
        kept.add(len(found.annotation))

    assert kept == {0, 1}


def test_what_is_turned_off_changes_no_other_choice() -> None:
    layout = Layout((96, 96), "letterbox")

    def sample(settings: AugmentSettings) -> Pair:
        return training_sample(samples(), 0, np.random.default_rng(5), layout, settings)

    without, never_drawn = sample(AugmentSettings()), sample(AugmentSettings(mixup=1e-9, cutout=1e-9))

    np.testing.assert_array_equal(never_drawn.picture, without.picture)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("flip", 1.5),
        ("mixup", 1.1),
        ("cutout", -0.1),
        ("cutout_size", 2.0),
        ("hue", -0.1),
        ("scale", 1.0),
        ("mosaic", float("nan")),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(RecipeError, match=rf"augmentation {name}: expected 0 to .*, found"):
        AugmentSettings(**{name: value})
