"""Which channels live and die together: one rule a test, each on the smallest network that shows it."""

import time

import numpy as np
import pytest

from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import IMAGE
from yoloslim.graph.lanes import Lanes, trace_lanes
from yoloslim.zoo.catalog import find, networks

NET = "[net]\nwidth=16\nheight=16\nchannels=3\n"


def conv(filters: int, *lines: str) -> str:
    return "\n".join(["[convolutional]", f"filters={filters}", *lines, ""])


def lanes_of_layers(*sections: str) -> tuple[Lanes, list[list[int]]]:
    """Gives the lanes of a network, and those of its layers with the image's three subtracted."""
    graph = parse_cfg(NET + "\n".join(sections))
    lanes = trace_lanes(graph)
    return lanes, [(lanes.of[node.name] - 3).tolist() for node in graph]


def test_every_channel_of_a_convolution_is_a_lane_of_its_own() -> None:
    lanes, layers = lanes_of_layers(conv(2), conv(3))

    assert layers == [[0, 1], [2, 3, 4]]
    assert lanes.count == 3 + 5


def test_the_channels_of_the_image_are_lanes_and_fixed() -> None:
    lanes, _ = lanes_of_layers(conv(2))

    assert lanes.of[IMAGE].tolist() == [0, 1, 2]
    assert lanes.fixed.tolist() == [True, True, True, False, False]


@pytest.mark.parametrize(
    "section",
    [
        *("[maxpool]\nsize=2\nstride=2", "[upsample]", "[dropout]", "[avgpool]", "[se]", "[route]\nlayers=-1"),
        *("[maxpool]\nsize=2\nstride=2\nantialiasing=1", "[local_avgpool]\nsize=2", "[empty]"),
        "[crop]\ncrop_height=4\ncrop_width=4",
    ],
)
def test_an_op_that_only_moves_channels_passes_its_lanes(section: str) -> None:
    lanes, layers = lanes_of_layers(conv(4), section)

    assert layers == [[0, 1, 2, 3], [0, 1, 2, 3]]
    assert not lanes.fixed[3:].any()


def test_a_shortcut_ties_its_inputs() -> None:
    _, layers = lanes_of_layers(conv(2), conv(3), conv(2), "[shortcut]\nfrom=0")
    assert layers == [[0, 1], [2, 3, 4], [0, 1], [0, 1]]


def test_a_product_ties_its_factors() -> None:
    _, layers = lanes_of_layers(conv(2), conv(3), conv(2), "[sam]\nfrom=0")
    assert layers == [[0, 1], [2, 3, 4], [0, 1], [0, 1]]


def test_shared_weights_tie_outputs_to_outputs_and_inputs_to_inputs() -> None:
    lanes, layers = lanes_of_layers(conv(2), conv(4), conv(2), conv(4, "share_index=1"))

    assert layers == [[0, 1], [2, 3, 4, 5], [0, 1], [2, 3, 4, 5]]
    assert not lanes.fixed[3:].any()


def test_what_fixes_one_user_of_shared_weights_fixes_the_other() -> None:
    lanes, layers = lanes_of_layers(
        conv(3), conv(6), conv(3), conv(6, "share_index=1"), "[yolo]\nmask=0\nclasses=1\nanchors=1,2"
    )

    assert layers[1] == layers[3]
    assert [bool(lanes.fixed[3 + np.array(layer)].all()) for layer in layers] == [False, True, False, True, True]


def test_a_pool_over_channels_fixes_what_it_reads_and_gives() -> None:
    lanes, layers = lanes_of_layers(conv(4), "[maxpool]\nmaxpool_depth=1\nout_channels=2")

    assert layers == [[0, 1, 2, 3], [4, 5]]
    assert lanes.fixed.all()


def test_features_of_tracked_objects_are_fixed() -> None:
    lanes, layers = lanes_of_layers(conv(2), "[contrastive]\nclasses=3")

    assert layers == [[0, 1], [0, 1]]
    assert lanes.fixed.all()


def test_a_shortcut_of_several_ties_all_of_them() -> None:
    _, layers = lanes_of_layers(conv(2), conv(2), conv(2), "[shortcut]\nfrom=0,1")
    assert layers == [[0, 1]] * 4


def test_shortcuts_in_a_row_tie_through() -> None:
    _, layers = lanes_of_layers(conv(2), conv(2), "[shortcut]\nfrom=-2", conv(2), "[shortcut]\nfrom=-2")
    assert layers == [[0, 1]] * 5


def test_a_shortcut_of_unequal_channels_ties_the_front() -> None:
    _, wider_first = lanes_of_layers(conv(2), conv(4), "[shortcut]\nfrom=0")
    _, wider_second = lanes_of_layers(conv(4), conv(2), "[shortcut]\nfrom=0")

    assert wider_first == [[0, 1], [0, 1, 2, 3], [0, 1, 2, 3]]
    assert wider_second == [[0, 1, 2, 3], [0, 1], [0, 1]]


def test_a_route_joins_lanes_in_the_order_of_its_layers() -> None:
    _, layers = lanes_of_layers(conv(2), conv(3), "[route]\nlayers=-1,-2")
    assert layers[2] == [2, 3, 4, 0, 1]


def test_a_layer_routed_twice_has_the_same_lanes_twice() -> None:
    lanes, layers = lanes_of_layers(conv(2), "[route]\nlayers=-1,-1")

    assert layers[1] == [0, 1, 0, 1]
    assert lanes.count == 3 + 2


def test_a_grouped_route_takes_a_part_and_keeps_the_parts_balanced() -> None:
    lanes, layers = lanes_of_layers(conv(4), "[route]\nlayers=-1\ngroups=2\ngroup_id=1")

    assert layers[1] == [2, 3]
    assert [[part.tolist() for part in parts] for parts in lanes.balanced] == [[[3, 4], [5, 6]]]


def test_a_grouped_route_of_several_takes_its_part_of_each() -> None:
    lanes, layers = lanes_of_layers(conv(4), conv(2), "[route]\nlayers=0,1\ngroups=2")

    assert layers[2] == [0, 1, 4]
    assert [len(parts[0]) for parts in lanes.balanced] == [2, 1]


def test_a_grouped_convolution_keeps_its_inputs_and_its_outputs_balanced() -> None:
    lanes, layers = lanes_of_layers(conv(4), conv(6, "groups=2"))

    assert layers == [[0, 1, 2, 3], [4, 5, 6, 7, 8, 9]]
    assert [[part.tolist() for part in parts] for parts in lanes.balanced] == [
        [[3, 4], [5, 6]],
        [[7, 8, 9], [10, 11, 12]],
    ]


def test_balanced_parts_name_the_lanes_after_ties() -> None:
    lanes, _ = lanes_of_layers(conv(4), conv(4), "[shortcut]\nfrom=0", "[route]\nlayers=1\ngroups=2")
    assert [[part.tolist() for part in parts] for parts in lanes.balanced] == [[[3, 4], [5, 6]]]


@pytest.mark.parametrize("section", [conv(4, "groups=4", "size=3", "pad=1"), "[depthwise]\nsize=3\npad=1"])
def test_a_depthwise_convolution_passes_its_lanes(section: str) -> None:
    lanes, layers = lanes_of_layers(conv(4), section)

    assert layers == [[0, 1, 2, 3], [0, 1, 2, 3]]
    assert lanes.balanced == ()


def test_a_channel_multiplier_gives_every_lane_that_many_outputs() -> None:
    _, layers = lanes_of_layers(conv(3), conv(6, "groups=3"))
    assert layers[1] == [0, 0, 1, 1, 2, 2]


def test_a_convolution_of_one_channel_is_no_depthwise_one() -> None:
    _, layers = lanes_of_layers(conv(1), conv(2, "groups=1"))
    assert layers == [[0], [1, 2]]


def test_scales_of_channels_are_tied_to_the_channels_they_scale() -> None:
    lanes, layers = lanes_of_layers(conv(3), "[avgpool]", conv(2), conv(3), "[scale_channels]\nfrom=0")

    assert layers == [[0, 1, 2], [0, 1, 2], [3, 4], [0, 1, 2], [0, 1, 2]]
    assert not lanes.fixed[3:].any()


def test_scales_of_cells_are_fixed_and_tied_to_nothing() -> None:
    lanes, layers = lanes_of_layers(conv(3), conv(1), "[scale_channels]\nfrom=0\nscale_wh=1")

    assert layers == [[0, 1, 2], [3], [0, 1, 2]]
    assert np.flatnonzero(lanes.fixed).tolist() == [0, 1, 2, 3 + 3]


@pytest.mark.parametrize("activation", ["normalize_channels", "normalize_channels_softmax"])
def test_an_activation_that_mixes_channels_fixes_them(activation: str) -> None:
    lanes, _ = lanes_of_layers(conv(2), conv(2, f"activation={activation}"), conv(2))
    assert lanes.fixed[3:].tolist() == [False, False, True, True, False, False]


def test_a_mixing_shortcut_fixes_what_it_adds() -> None:
    lanes, _ = lanes_of_layers(conv(2), conv(2), "[shortcut]\nfrom=0\nactivation=normalize_channels")
    assert lanes.fixed[3:].all()


def test_the_input_of_a_head_is_fixed() -> None:
    lanes, layers = lanes_of_layers(conv(4), conv(6), "[yolo]\nmask=0\nclasses=1\nanchors=1,2")

    assert layers[2] == layers[1] == [4, 5, 6, 7, 8, 9]
    assert np.flatnonzero(lanes.fixed[3:]).tolist() == [4, 5, 6, 7, 8, 9]


def test_fixing_reaches_through_a_shortcut() -> None:
    head = "[yolo]\nmask=0\nclasses=1\nanchors=1,2"
    lanes, _ = lanes_of_layers(conv(6), conv(6), "[shortcut]\nfrom=0", head)
    assert lanes.fixed.all()


@pytest.mark.parametrize("name", sorted(networks()))
def test_lanes_are_numbered_by_their_first_writer(name: str) -> None:
    lanes = trace_lanes(find(name))

    in_order = np.concatenate(list(lanes.of.values()))
    first_seen = in_order[np.sort(np.unique(in_order, return_index=True)[1])]

    assert first_seen.tolist() == list(range(lanes.count))


@pytest.mark.parametrize(("name", "sets"), [("yolov3", 0), ("yolov3-tiny", 0), ("yolov4", 0), ("yolov4-tiny", 3)])
def test_only_split_channels_are_kept_balanced(name: str, sets: int) -> None:
    assert len(trace_lanes(find(name)).balanced) == sets


def test_yolov4_is_analysed_in_less_than_a_fifth_of_a_second() -> None:
    graph = find("yolov4")
    times = []
    for _ in range(3):
        start = time.perf_counter()
        trace_lanes(graph)
        times.append(time.perf_counter() - start)

    assert min(times) < 0.2
