"""``ties_of`` says of every channel what it lives and dies with, and why it stays, as the lanes have it."""

import numpy as np
import pytest

from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.lanes import trace_lanes
from yoloslim.graph.ties import Bond, Ties, channels_apart, ties_of
from yoloslim.zoo.catalog import find, networks


def ties(graph: Graph, index: int, channel: int | None = None) -> Ties:
    return ties_of(graph, trace_lanes(graph), graph.nodes[index].name, None if channel is None else [channel])


def names(bonds: tuple[Bond, ...]) -> list[str]:
    return [bond.node for bond in bonds]


def test_channels_of_a_residual_stage_live_together() -> None:
    found = ties(find("yolov3"), 5, 3)

    assert names(found.writers) == ["005_convolutional", "007_convolutional", "010_convolutional"]
    assert names(found.joints) == ["008_shortcut", "011_shortcut"]
    assert (found.channels, found.needs, found.balanced) == (1, (), ())


def test_the_channels_of_a_head_stay() -> None:
    found = ties(find("yolov3-tiny"), 15)

    assert names(found.needs) == ["016_yolo"]
    assert found.needs[0].channels == 255


def test_the_input_of_a_reorg_stays() -> None:
    graph = find("yolov2")
    before = next(index for index, node in enumerate(graph) if "reorg" in node.name) - 1

    assert [bond.text for bond in ties(graph, before).needs] == ["mixes them"]


def test_halves_must_stay_equal() -> None:
    assert names(ties(find("yolov4-tiny"), 2).balanced) == ["003_route"]


@pytest.mark.parametrize("name", networks())
def test_channels_stay_for_a_reason_and_only_those(name: str) -> None:
    graph = find(name, width=0.25)
    lanes = trace_lanes(graph)

    for node in graph:
        fixed = lanes.fixed[lanes.of[node.name]]
        assert bool(ties_of(graph, lanes, node.name).needs) == bool(fixed.any()), node.name


@pytest.mark.parametrize("name", ["yolov4", "yolov3-mobilenetv3", "yolov3tiny-efficientnet-b0", "yolov2"])
def test_the_writers_are_all_that_carry_the_lanes(name: str) -> None:
    graph = find(name, width=0.25)
    lanes = trace_lanes(graph)

    for node in list(graph)[::7]:
        found = ties_of(graph, lanes, node.name)
        for bond in found.writers:
            assert np.isin(lanes.of[bond.node], lanes.of[node.name]).sum() == bond.channels


NET = "[net]\nwidth=16\nheight=16\nchannels=3\n"
CONV = "[convolutional]\nfilters=6\n"


def test_layers_with_the_same_weights_name_each_other() -> None:
    graph = parse_cfg(NET + CONV * 2 + f"{CONV}share_index=1\n")
    text = "uses the weights of 001_convolutional: what one loses the other loses"

    assert ties(graph, 1).joints == (Bond("002_convolutional", 12, text),)
    assert names(ties(graph, 1).writers) == ["000_convolutional", "001_convolutional", "002_convolutional"]


@pytest.mark.parametrize(
    ("section", "joints", "needs"),
    [
        ("[sam]\nfrom=0", ["ties them in 001_convolutional and 000_convolutional"], []),
        ("[sam]\nfrom=0\nactivation=normalize_channels", None, ["activation=normalize_channels mixes them"]),
        ("[maxpool]\nmaxpool_depth=1\nout_channels=2", [], ["mixes them"]),
        ("[contrastive]", [], ["tells tracked objects apart by them, in Darknet"]),
    ],
)
def test_a_layer_says_what_it_does_with_the_channels_before_it(
    section: str, joints: list[str] | None, needs: list[str]
) -> None:
    found = ties(parse_cfg(NET + CONV * 2 + section), 1)

    assert joints is None or [bond.text for bond in found.joints] == joints
    assert [bond.text for bond in found.needs] == needs


@pytest.mark.parametrize("name", ["yolov4-tiny", "yolov3-mobilenetv3", "yolo-fastest-1.1"])
def test_the_sets_of_a_layers_channels_hold_each_once_and_fare_alike(name: str) -> None:
    graph = find(name)
    lanes = trace_lanes(graph)

    for node in list(graph)[::5]:
        sets = channels_apart(graph, lanes, node.name)
        assert sorted(channel for channels in sets for channel in channels) == list(range(len(lanes.of[node.name])))
        for channels in sets:
            first, last = (ties_of(graph, lanes, node.name, [channels[end]]) for end in (0, -1))
            assert first == last
