"""The table of known data sets agrees with the zoo and with itself."""

from __future__ import annotations

import pytest

from yoloslim.data.known import KNOWN_SETS, KnownSet
from yoloslim.weights.published import PUBLISHED
from yoloslim.zoo.data_sets import DATA_SETS

EVERY = pytest.mark.parametrize("data_set", KNOWN_SETS.values(), ids=lambda data_set: data_set.name)


@EVERY
def test_the_zoo_has_its_classes_and_anchors(data_set: KnownSet) -> None:
    assert data_set.class_names == DATA_SETS[data_set.name].names
    assert set(DATA_SETS[data_set.name].anchors) >= {6, 9}


@EVERY
def test_every_split_has_a_place_and_a_published_number_of_pictures(data_set: KnownSet) -> None:
    assert set(data_set.places) >= {"train", "val"}
    assert set(data_set.places) | {"all"} >= set(data_set.counts) >= set(data_set.places)
    assert all(data_set.counts[split].pictures for split in data_set.places)


@EVERY
def test_archives_are_either_fetched_or_asked_for(data_set: KnownSet) -> None:
    assert bool(data_set.archives) != bool(data_set.by_hand)
    assert bool(data_set.by_hand) == bool(data_set.obstacle)
    assert not any(remote.sha256 for remote in data_set.archives)  # nobody states one


def test_every_file_that_can_be_fetched_has_a_name_of_its_own() -> None:
    names = [remote.name for data_set in KNOWN_SETS.values() for remote in data_set.archives]
    names += [weights.remote.name for weights in PUBLISHED.values()]

    assert len(set(names)) == len(names)


def test_both_splits_of_coco_have_the_same_pictures_and_boxes() -> None:
    totals = {
        (
            sum(count.pictures or 0 for count in KNOWN_SETS[name].counts.values()),
            sum(count.boxes or 0 for count in KNOWN_SETS[name].counts.values()),
        )
        for name in ("coco2014", "coco2017")
    }

    assert totals == {(123_287, 896_782)}


def test_the_whole_of_a_set_is_the_sum_of_its_splits() -> None:
    counts = KNOWN_SETS["dior"].counts
    assert counts["all"].pictures == (counts["train"].pictures or 0) + (counts["val"].pictures or 0)
