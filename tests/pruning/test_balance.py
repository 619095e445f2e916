"""Channels put back until grouped layers have equal parts and counts are multiples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoloslim.compress.pruning.balance import put_back
from yoloslim.compress.pruning.scores import writers
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.lanes import trace_lanes

NET = "[net]\nwidth=16\nheight=16\nchannels=3\n"
IMAGE = 3  # lanes of the image come first


def conv(filters: int, *more: str) -> str:
    return "\n".join(["[convolutional]", "batch_normalize=1", f"filters={filters}", *more, ""])


def split(groups: int, *layers: int) -> str:
    return f"[route]\nlayers={','.join(map(str, layers))}\ngroups={groups}\n"


NETWORKS = {
    "a split layer": conv(8) + split(2, 0) + conv(5),
    "a grouped convolution": conv(6) + conv(9, "groups=3") + conv(4),
    "splits in twos and threes": conv(12) + split(2, 0) + "[route]\nlayers=0\n" + split(3, 0) + conv(4),
    "a tied split": conv(4) + conv(8) + "[shortcut]\nfrom=0\n" + split(2, 2) + conv(6, "groups=2"),
    "a layer twice in a split": conv(3) + conv(5) + "[route]\nlayers=0,0,1,0\n" + split(2, 2),
    "a channel multiplier": conv(4) + conv(12, "groups=4") + split(2, 1),
}


def put_back_in(text: str, removed: list[int], scores: list[float], multiple: int = 1) -> list[bool]:
    """Gives the kept lanes, those of the image aside."""
    graph = parse_cfg(NET + text)
    keep = np.ones(trace_lanes(graph).count, dtype=bool)
    keep[IMAGE + np.array(removed, dtype=int)] = False
    all_scores = np.array([0.0] * IMAGE + scores)
    return put_back(keep, all_scores, trace_lanes(graph), writers(graph), multiple)[IMAGE:].tolist()


def test_the_best_scored_channel_of_the_shorter_part_comes_back() -> None:
    kept = put_back_in(conv(6) + split(2, 0), [0, 1, 5], [0.2, 0.4, 0.9, 0.8, 0.7, 0.1])
    assert kept == [False, True, True, True, True, False]


def test_equal_parts_are_left_alone() -> None:
    kept = put_back_in(conv(4) + split(2, 0), [0, 3], [0.0] * 4)
    assert kept == [False, True, True, False]


def test_counts_come_up_to_the_next_multiple() -> None:
    kept = put_back_in(conv(8), [0, 1, 2], [3, 1, 2, 0, 0, 0, 0, 0], multiple=4)
    assert sum(kept) == 8
    kept = put_back_in(conv(8), [0, 1, 2, 3, 4], [3, 1, 2, 0, 0, 0, 0, 0], multiple=4)
    assert kept == [True, False, False, False, False, True, True, True]


def test_a_layer_smaller_than_the_multiple_keeps_all_it_has() -> None:
    assert put_back_in(conv(3), [0, 2], [0.0] * 3, multiple=8) == [True] * 3


@pytest.mark.parametrize("multiple", [1, 4])
@pytest.mark.parametrize("text", NETWORKS.values(), ids=NETWORKS)
@given(data=st.data())
def test_channels_are_only_added_until_parts_are_equal_and_counts_are_multiples(
    text: str, multiple: int, data: st.DataObject
) -> None:
    graph = parse_cfg(NET + text)
    lanes, writing = trace_lanes(graph), writers(graph)
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=lanes.count, max_size=lanes.count)))
    scores = np.array(
        data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, np.inf]), min_size=len(keep), max_size=len(keep)))
    )
    before = keep.copy()

    kept = put_back(keep, scores, lanes, writing, multiple)

    assert (kept >= before).all()
    assert (keep == before).all()
    assert all(len({int(kept[part].sum()) for part in parts}) == 1 for parts in lanes.balanced)
    counts = [(int(kept[lanes.of[name]].sum()), len(lanes.of[name])) for name in writing]
    assert all(count % multiple == 0 or count == every for count, every in counts)
    assert (put_back(kept, scores, lanes, writing, multiple) == kept).all()
