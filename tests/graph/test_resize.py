"""The same network with fewer channels."""

import numpy as np
import pytest
from numpy.typing import NDArray

from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.lanes import Lanes, trace_lanes
from yoloslim.graph.ops import Convolution, Depthwise, SqueezeExcite, Yolo
from yoloslim.graph.resize import resized, select_lanes
from yoloslim.graph.shapes import infer_shapes
from yoloslim.graph.to_cfg import to_cfg
from yoloslim.zoo.catalog import find

NET = "[net]\nwidth=16\nheight=16\nchannels=3\n"
SMALL = (
    NET
    + """
[convolutional]
filters=6
[convolutional]
filters=12
groups=6
[convolutional]
filters=8
[se]
reduction=4
[convolutional]
filters=6
[yolo]
mask=0
classes=1
anchors=1,2
"""
)


def random_keep(lanes: Lanes, seed: int) -> NDArray[np.bool_]:
    """Keeps about half the lanes, the fixed ones, and the first of every node."""
    keep = np.random.default_rng(seed).random(lanes.count) < 0.5
    keep |= lanes.fixed
    keep[[lane[0] for lane in lanes.of.values()]] = True
    return keep


def select(graph: Graph, removed: dict[str, list[int]]) -> Graph:
    """Removes channels, given by the node that writes them."""
    lanes = trace_lanes(graph)
    keep = np.ones(lanes.count, dtype=bool)
    for name, channels in removed.items():
        keep[lanes.of[name][channels]] = False
    return select_lanes(graph, lanes, keep)


def test_keeping_every_lane_changes_nothing() -> None:
    graph = parse_cfg(SMALL)
    assert select(graph, {}) == graph


def test_a_convolution_keeps_as_many_filters_as_lanes() -> None:
    graph = select(parse_cfg(SMALL), {"002_convolutional": [0, 3, 7]})
    assert graph["002_convolutional"].op == Convolution(5)


def test_a_depthwise_convolution_follows_its_input() -> None:
    graph = select(parse_cfg(SMALL), {"000_convolutional": [1, 2]})

    assert graph["000_convolutional"].op == Convolution(4)
    assert graph["001_convolutional"].op == Convolution(8, groups=4)


def test_a_depthwise_convolution_shrunk_to_one_channel_is_written_so_that_it_reads_the_same() -> None:
    graph = select(parse_cfg(SMALL), {"000_convolutional": [1, 2, 3, 4, 5]})

    again = parse_cfg(to_cfg(graph))

    assert again["001_convolutional"].op == graph["001_convolutional"].op == Convolution(2, groups=1)


def test_a_squeeze_keeps_its_hidden_width_in_the_written_cfg() -> None:
    graph = select(parse_cfg(SMALL), {"002_convolutional": [0, 1, 2, 3]})

    assert graph["003_se"].op == SqueezeExcite(hidden=2)
    assert parse_cfg(to_cfg(graph))["003_se"].op == SqueezeExcite(hidden=2)


def test_a_grouped_convolution_keeps_its_groups() -> None:
    assert resized(Convolution(8, groups=2), [(6, 4)], 6) == Convolution(6, groups=2)


def test_a_depthwise_section_follows_its_input() -> None:
    assert resized(Depthwise(8, 3), [(8, 5)], 5) == Depthwise(5, 3)


def test_a_head_is_left_as_it_is() -> None:
    yolo = Yolo((0,), ((1, 2),), classes=1)
    assert resized(yolo, [(6, 6)], 6) == yolo


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", ["yolov3", "yolov3-tiny", "yolov4"])
def test_a_network_with_half_its_lanes_has_as_many_channels_as_lanes_kept(name: str, seed: int) -> None:
    graph = find(name, width=0.25)
    lanes = trace_lanes(graph)
    keep = random_keep(lanes, seed)

    shapes = infer_shapes(parse_cfg(to_cfg(select_lanes(graph, lanes, keep))))

    kept = {name: int(keep[lane].sum()) for name, lane in lanes.of.items()}
    assert {name: shape.channels for name, shape in shapes.items()} == kept
    assert sum(kept.values()) < 0.8 * sum(len(lane) for lane in lanes.of.values())


def test_selecting_lanes_leaves_the_network_it_was_given_as_it_was() -> None:
    graph = parse_cfg(SMALL)
    before = to_cfg(graph)

    select(graph, {"002_convolutional": [0]})

    assert to_cfg(graph) == before
