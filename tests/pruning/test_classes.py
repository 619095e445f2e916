"""Classes dropped from the heads."""

from collections.abc import Callable

import pytest
import torch

from yoloslim.compress.pruning.classes import head_channels, keep_classes, parse_classes
from yoloslim.compress.pruning.verify import class_diff
from yoloslim.errors import PlanError
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.nn.network import Network
from yoloslim.zoo.catalog import find

RandomNetwork = Callable[[Graph, int], Network]


@pytest.mark.parametrize("name", ["yolov3-tiny", "yolov4-tiny", "yolov2-tiny", "yolov4-csp", "yolov7-tiny"])
def test_what_is_said_of_the_kept_classes_is_unchanged(name: str, random_network: RandomNetwork) -> None:
    network = random_network(find(name, size=(64, 64), width=0.125), 0)
    kept = (7, 0, 31)

    small = keep_classes(network, kept)

    picture = torch.rand(1, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        for whole, found in zip(network(picture), small(picture), strict=True):
            expected = torch.cat([whole[..., :5], whole[..., [12, 5, 36]]], -1)
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert small.graph.classes == 3
    assert class_diff(network, small, kept) < 1e-12
    assert class_diff(network, small, (7, 0, 30)) > 1e-3


def test_rows_are_counted_anchor_by_anchor() -> None:
    rows = head_channels(find("yolov3-tiny", classes=3, width=0.125), (2,))
    first = next(iter(rows.values()))
    assert first.tolist() == [*range(5), 7, *range(8, 13), 15, *range(16, 21), 23]


@pytest.mark.parametrize(("text", "kept"), [("keep=1", (1,)), ("keep=5,0, 3", (5, 0, 3))])
def test_classes_are_read_in_their_order(text: str, kept: tuple[int, ...]) -> None:
    assert parse_classes(text, 6) == kept


@pytest.mark.parametrize("text", ["keep", "keep=", "1,2", "keep=a", "keep=1,,2", "drop=1", "keep=-1"])
def test_a_list_of_classes_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(PlanError, match="expected keep=ID,ID"):
        parse_classes(text, 6)


def test_classes_that_all_stay_as_they_are_are_refused() -> None:
    with pytest.raises(PlanError, match="all 3 classes are kept"):
        parse_classes("keep=0,1,2", 3)

    assert parse_classes("keep=2,0,1", 3) == (2, 0, 1)


@pytest.mark.parametrize("text", ["keep=6", "keep=1,1"])
def test_a_class_that_is_not_there_or_twice_is_refused(text: str) -> None:
    with pytest.raises(PlanError, match="expected each id once, from 0 to 5"):
        parse_classes(text, 6)


def test_a_head_whose_convolution_feeds_something_else_keeps_its_classes(random_network: RandomNetwork) -> None:
    head = "[convolutional]\nfilters=7\nactivation=linear\n[yolo]\nmask=0\nclasses=2\nanchors=4,4\n"
    text = "[net]\nwidth=16\nheight=16\nchannels=3\n" + head + "[route]\nlayers=0\n" + head
    with pytest.raises(PlanError, match="only where every head reads a convolution that nothing else reads"):
        keep_classes(random_network(parse_cfg(text), 0), (0,))


def test_dropping_classes_leaves_the_network_as_it_was(random_network: RandomNetwork) -> None:
    network = random_network(find("yolov3-tiny", width=0.125), 0)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    small = keep_classes(network.train(), (1,))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert small.training
    assert {tensor.dtype for tensor in small.state_dict().values()} == {torch.float64}
