"""``stopbackward``: which leading layers do not learn, and until when."""

import pytest

from yoloslim.errors import CfgError
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.frozen import Stop, forward_only, stops_of
from yoloslim.graph.graph import Graph

NET = "[net]\nwidth=16\nheight=16\nchannels=3\n"


def four_layers(**stops: str) -> Graph:
    """Convolutions, those named by their place with ``stopbackward``."""
    lines = (f"stopbackward={stops[f'at_{index}']}\n" if f"at_{index}" in stops else "" for index in range(4))
    return parse_cfg(NET + "".join(f"[convolutional]\nfilters=4\n{line}" for line in lines))


def test_a_network_without_stops_learns_whole() -> None:
    assert stops_of(four_layers(at_1="0")) == ()


def test_one_stops_the_gradient_at_the_layer_and_before_it_for_good() -> None:
    assert stops_of(four_layers(at_1="1")) == (Stop(layers=2, until=None),)


def test_a_larger_number_is_the_step_at_which_they_begin_to_learn() -> None:
    assert stops_of(four_layers(at_0="1", at_2="800")) == (Stop(1, None), Stop(3, 800))


@pytest.mark.parametrize("section", ["[maxpool]", "[route]\nlayers=0", "[sam]\nfrom=0", "[empty]"])
def test_any_layer_can_stop_it(section: str) -> None:
    assert stops_of(parse_cfg(f"{NET}[convolutional]\n{section}\nstopbackward=1\n")) == (Stop(2, None),)


def test_layers_that_only_run_forward_are_named() -> None:
    graph = parse_cfg(f"{NET}[convolutional]\n[route]\nlayers=0\nonlyforward=1\n[convolutional]\nonlyforward=0\n")
    assert forward_only(graph) == {"001_route"}


def test_a_stop_that_is_no_number_is_refused() -> None:
    with pytest.raises(CfgError, match=r"\[convolutional\] stopbackward=yes: expected a whole number"):
        stops_of(four_layers(at_1="yes"))
