"""Which lanes go: selection over the whole network, floors, frozen lanes."""

import numpy as np
import pytest

from yoloslim.compress.pruning.freeze import frozen_lanes
from yoloslim.compress.pruning.select import lowest_scored, with_floor
from yoloslim.errors import PlanError
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.lanes import trace_lanes

NET = "[net]\nwidth=16\nheight=16\nchannels=3\n"
IMAGE = 3  # lanes of the image come first
EVERY = np.ones(5, dtype=bool)


def conv(filters: int, *more: str) -> str:
    return "\n".join(["[convolutional]", "batch_normalize=1", f"filters={filters}", *more, ""])


def frozen(text: str, *rules: str) -> list[bool]:
    graph = parse_cfg(NET + text)
    return frozen_lanes(graph, trace_lanes(graph), rules)[IMAGE:].tolist()


def test_the_lowest_scored_lanes_go() -> None:
    keep = lowest_scored(np.array([0.3, 0.1, 0.5, 0.2, 0.4]), EVERY, 0.4)
    assert keep.tolist() == [True, False, True, False, True]


def test_percent_is_a_share_of_the_lanes_that_may_go() -> None:
    removable = np.array([False, True, True, True, True])
    keep = lowest_scored(np.array([0.0, 0.1, 0.2, 0.3, 0.4]), removable, 0.5)
    assert keep.tolist() == [True, False, False, True, True]


def test_lanes_with_an_infinite_score_stay_and_do_not_count() -> None:
    keep = lowest_scored(np.array([np.inf, 0.1, 0.2, np.inf, np.inf]), EVERY, 0.5)
    assert keep.tolist() == [True, False, True, True, True]


@pytest.mark.parametrize(("percent", "left"), [(0.0, 5), (0.2, 4), (1.0, 0)])
def test_both_ends_of_percent_are_meant_as_said(percent: float, left: int) -> None:
    assert lowest_scored(np.zeros(5), EVERY, percent).sum() == left


@pytest.mark.parametrize(("min_keep", "kept"), [(0.0, 1), (0.1, 1), (0.5, 4), (1.0, 8)])
def test_a_floor_puts_back_the_best_scored_share_of_each_layer(min_keep: float, kept: int) -> None:
    lanes = trace_lanes(parse_cfg(NET + conv(8)))
    scores = np.concatenate([np.zeros(IMAGE), np.array([3, 7, 1, 8, 2, 6, 4, 5])])

    keep = with_floor(np.zeros(lanes.count, dtype=bool), scores, lanes, min_keep)

    assert sorted(scores[IMAGE:][keep[IMAGE:]]) == list(range(9 - kept, 9))


def test_a_floor_leaves_what_is_above_it_and_its_input_alone() -> None:
    lanes = trace_lanes(parse_cfg(NET + conv(4)))
    keep = np.array([True, True, True, False, False, True, True])
    before = keep.copy()

    assert with_floor(keep, np.arange(7.0)[::-1], lanes, 0.5).tolist() == before.tolist()
    with_floor(keep, np.arange(7.0), lanes, 1.0)
    assert keep.tolist() == before.tolist()


def test_a_floor_holds_for_parts_of_a_layer_too() -> None:
    lanes = trace_lanes(parse_cfg(NET + conv(4) + "[route]\nlayers=0\ngroups=2\ngroup_id=1\n"))
    scores = np.array([0, 0, 0, 9.0, 8.0, 1.0, 2.0])
    keep = with_floor(np.zeros(lanes.count, dtype=bool), scores, lanes, 0.25)
    assert keep[IMAGE:].tolist() == [True, False, False, True]


def test_lanes_tied_by_a_shortcut_can_be_frozen() -> None:
    text = conv(2) + conv(3) + conv(2) + "[shortcut]\nfrom=0\n" + conv(1)
    assert frozen(text, "shortcut") == [True, True, False, False, False, False]


def test_channels_that_a_shortcut_does_not_tie_stay_free() -> None:
    text = conv(2) + conv(3) + conv(4) + "[shortcut]\nfrom=0\n" + conv(1)
    assert frozen(text, "shortcut") == [True, True, False, False, False, False, False, False]


def test_lanes_that_feed_an_upsampling_can_be_frozen() -> None:
    text = conv(2) + conv(3) + "[upsample]\n" + conv(1)
    assert frozen(text, "upsample") == [False, False, True, True, True, False]


def test_what_feeds_an_upsampling_through_a_join_is_frozen() -> None:
    text = conv(2) + conv(1) + conv(1) + "[route]\nlayers=0,1\n[upsample]\n"
    assert frozen(text, "upsample") == [True, True, True, False]


def test_without_rules_only_what_the_network_fixes_is_frozen() -> None:
    text = conv(2) + "[upsample]\n" + conv(6) + "[yolo]\nmask=0\nclasses=1\nanchors=1,2\n"
    assert frozen(text) == [False, False, *[True] * 6]


def test_rules_together_freeze_what_any_of_them_does() -> None:
    text = conv(2) + conv(2) + "[shortcut]\nfrom=0\n" + conv(1) + "[upsample]\n" + conv(1)
    assert frozen(text, "shortcut", "upsample") == [True, True, True, False]
    assert frozen(text, "everything") == [True] * 4


PYRAMID = "[maxpool]\nsize=3\nstride=1\n[route]\nlayers=-2\n[maxpool]\nsize=5\nstride=1\n[route]\nlayers=-1,-3,-4\n"


def test_what_pyramid_pooling_reads_can_be_frozen() -> None:
    assert frozen(conv(2) + conv(1) + PYRAMID + conv(1), "spp") == [False, False, True, False]


def test_one_pooling_is_no_pyramid() -> None:
    text = conv(2) + "[maxpool]\nsize=3\nstride=1\n" + conv(2) + "[route]\nlayers=-1,-2\n"
    assert frozen(text, "spp") == [False] * 4


def test_what_a_grouped_route_takes_a_part_of_can_be_frozen() -> None:
    text = conv(2) + conv(4) + "[route]\nlayers=-1\ngroups=2\n" + conv(1) + "[route]\nlayers=0\n"
    assert frozen(text, "grouped_route") == [False, False, True, True, True, True, False]


@pytest.mark.parametrize("section", ["[depthwise]\n", conv(3, "groups=3")])
def test_what_a_depthwise_convolution_reads_can_be_frozen(section: str) -> None:
    assert frozen(conv(2) + conv(3) + section + conv(1), "depthwise") == [False, False, True, True, True, False]


def test_an_unknown_rule_is_refused_with_those_known() -> None:
    with pytest.raises(PlanError, match="no freeze rule 'head'; known: shortcut, upsample, spp"):
        frozen(conv(2), "head")
