"""Residual blocks: which can be dropped, why others cannot, and what is left without them."""

import pytest

from yoloslim.errors import PlanError
from yoloslim.graph.blocks import Block, branch_nodes, drop_blocks, lanes_without, renumber, residual_blocks
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.lanes import trace_lanes
from yoloslim.graph.to_cfg import to_cfg
from yoloslim.zoo.catalog import find, networks

NET = "[net]\nwidth=16\nheight=16\nchannels=3\n"
HEAD = "[convolutional]\nfilters=6\nactivation=linear\n[yolo]\nmask=0\nclasses=1\nanchors=4,4\n"


def conv(filters: int, *more: str) -> str:
    return "\n".join(["[convolutional]", f"filters={filters}", *more, ""])


def shortcut(source: int, activation: str = "linear") -> str:
    return f"[shortcut]\nfrom={source}\nactivation={activation}\n"


def route(*layers: int) -> str:
    return f"[route]\nlayers={','.join(map(str, layers))}\n"


def graph_of(*sections: str) -> Graph:
    return parse_cfg(NET + "".join(sections) + HEAD)


def described(graph: Graph) -> list[tuple[str, tuple[str, ...]]]:
    return [(node.name, node.inputs) for node in graph]


TWO_BLOCKS = (conv(4), conv(2), conv(4), shortcut(-3), conv(3), conv(4), shortcut(3))


def test_a_branch_that_only_adds_is_a_block() -> None:
    assert residual_blocks(graph_of(*TWO_BLOCKS)).removable == (
        Block("003_shortcut", "000_convolutional", ("001_convolutional", "002_convolutional")),
        Block("006_shortcut", "003_shortcut", ("004_convolutional", "005_convolutional")),
    )


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        ((conv(4), conv(4), shortcut(0, "leaky")), "its activation is leaky, not linear"),
        ((conv(4), conv(5), shortcut(0)), "001_convolutional has 5 channels, 000_convolutional has 4"),
        ((conv(3), shortcut(-1)), "its branch has no convolution"),
        ((conv(4), conv(4), conv(4), "[shortcut]\nfrom=0,1\nactivation=linear\n"), "it adds 3 layers"),
        (
            (conv(4), conv(4), conv(4), shortcut(0), route(1), conv(2)),
            "001_convolutional of its branch is also read by 004_route",
        ),
        (
            (conv(4), conv(4), route(0), conv(4), shortcut(1)),
            "001_convolutional does not lead to 003_convolutional: it adds two branches",
        ),
        ((conv(4), "[maxpool]\nsize=3\nstride=1\n", shortcut(0)), "its branch has no convolution"),
    ],
)
def test_what_cannot_be_dropped_is_told_with_its_reason(sections: tuple[str, ...], reason: str) -> None:
    graph = graph_of(*sections)
    blocks = residual_blocks(graph)
    assert blocks.removable == ()
    (name,) = blocks.others
    assert blocks.others[name] == reason
    with pytest.raises(PlanError, match=f"{name} cannot be dropped: "):
        drop_blocks(graph, [name])


def test_a_name_that_is_no_shortcut_cannot_be_dropped() -> None:
    with pytest.raises(PlanError, match="001_convolutional cannot be dropped: it is no shortcut of this network"):
        drop_blocks(graph_of(*TWO_BLOCKS), ["001_convolutional"])


def test_what_read_a_shortcut_reads_its_skip() -> None:
    rest, names = renumber(drop_blocks(graph_of(*TWO_BLOCKS), ["003_shortcut"]))
    assert described(rest) == [
        ("000_convolutional", ("image",)),
        ("001_convolutional", ("000_convolutional",)),
        ("002_convolutional", ("001_convolutional",)),
        ("003_shortcut", ("002_convolutional", "000_convolutional")),
        ("004_convolutional", ("003_shortcut",)),
        ("005_yolo", ("004_convolutional",)),
    ]
    assert [names[node.name] for node in rest][1:4] == ["004_convolutional", "005_convolutional", "006_shortcut"]
    assert "from=0" in to_cfg(rest)  # absolute, as it was


def test_all_blocks_of_a_chain_can_go() -> None:
    rest, _ = renumber(drop_blocks(graph_of(*TWO_BLOCKS), ["003_shortcut", "006_shortcut"]))
    assert [node.name for node in rest] == ["000_convolutional", "001_convolutional", "002_yolo"]


def test_a_route_takes_the_place_of_a_shortcut_whose_skip_is_not_the_layer_before() -> None:
    graph = graph_of(conv(4), route(0), conv(2), route(0), conv(4), shortcut(0), conv(5), route(-1, 2))
    rest, names = renumber(drop_blocks(graph, ["005_shortcut"]))
    assert described(rest)[:5] == [
        ("000_convolutional", ("image",)),
        ("001_route", ("000_convolutional",)),
        ("002_convolutional", ("001_route",)),
        ("003_route", ("000_convolutional",)),
        ("004_convolutional", ("003_route",)),
    ]
    assert names["003_route"] == "005_shortcut"
    assert described(parse_cfg(to_cfg(rest))) == described(rest)


def test_a_block_inside_a_branch_goes_with_it() -> None:
    graph = graph_of(conv(4), conv(3), conv(3), shortcut(-2), conv(4), shortcut(0))
    inner, outer = residual_blocks(graph).removable
    assert set(inner.branch) < set(outer.branch)
    for dropped in ([outer.shortcut], [inner.shortcut, outer.shortcut]):
        assert [node.name for node in renumber(drop_blocks(graph, dropped))[0]] == [
            "000_convolutional",
            "001_convolutional",
            "002_yolo",
        ]
        assert branch_nodes(graph, dropped) == {
            "001_convolutional",
            "002_convolutional",
            "003_shortcut",
            "004_convolutional",
        }


def test_lanes_keep_their_numbers_and_lose_what_only_the_branch_demands() -> None:
    graph = graph_of(
        conv(4), conv(6), conv(6, "groups=2"), conv(4, "activation=normalize_channels"), shortcut(0), conv(3)
    )
    whole, rest = trace_lanes(graph), lanes_without(graph, ["004_shortcut"])
    assert (len(whole.balanced), len(rest.balanced)) == (2, 0)
    assert whole.fixed[whole.of["000_convolutional"]].all()
    assert not rest.fixed[rest.of["000_convolutional"]].any()
    assert rest.count == whole.count
    assert {name: lane.tolist() for name, lane in rest.of.items()} == {
        name: whole.of[name].tolist() for name in ("image", *(n.name for n in drop_blocks(graph, ["004_shortcut"])))
    }


@pytest.mark.parametrize("name", networks())
def test_every_network_of_the_zoo_reads_the_same_from_its_text_without_its_blocks(name: str) -> None:
    graph = find(name, size=(64, 64), width=0.25)
    for step in (1, 2):
        dropped = [block.shortcut for block in residual_blocks(graph).removable[::step]]
        rest, _ = renumber(drop_blocks(graph, dropped))
        again = parse_cfg(to_cfg(rest))
        assert [(node.name, node.op, node.inputs) for node in again] == [(n.name, n.op, n.inputs) for n in rest]
        assert len(rest) < len(graph) or not dropped


@pytest.mark.parametrize(
    ("name", "removable", "others"),
    [("yolov3", 23, 0), ("yolov3-tiny", 0, 0), ("yolov3-mobilenetv3", 10, 0), ("yolov3tiny-ghostnet", 11, 5)],
)
def test_blocks_of_known_networks_are_counted(name: str, removable: int, others: int) -> None:
    blocks = residual_blocks(find(name))
    assert (len(blocks.removable), len(blocks.others)) == (removable, others)


def test_a_branch_whose_weights_another_layer_uses_stays() -> None:
    graph = graph_of(conv(4), conv(4), shortcut(0), conv(4, "share_index=1"))

    blocks = residual_blocks(graph)

    assert blocks.removable == ()
    assert "001_convolutional of its branch are also those of 003_convolutional" in blocks.others["002_shortcut"]


def test_a_branch_with_the_weights_of_another_layer_can_go() -> None:
    graph = graph_of(conv(4), conv(4), conv(4, "share_index=1"), shortcut(1), conv(4, "share_index=1"))

    rest, before = renumber(drop_blocks(graph, ("003_shortcut",)))

    assert described(rest)[:3] == [
        ("000_convolutional", ("image",)),
        ("001_convolutional", ("000_convolutional",)),
        ("002_convolutional", ("001_convolutional",)),
    ]
    assert rest["002_convolutional"].weights_of == "001_convolutional"
    assert parse_cfg(to_cfg(rest))["002_convolutional"].weights_of == "001_convolutional"
    assert before["002_convolutional"] == "004_convolutional"


def test_a_weighted_shortcut_and_one_to_a_larger_map_are_no_blocks() -> None:
    weighted = graph_of(conv(4), conv(4), shortcut(0) + "weights_type=per_feature\n")
    larger = graph_of(conv(4), conv(4, "size=3", "stride=2", "pad=1"), shortcut(0))

    assert "learned weights" in residual_blocks(weighted).others["002_shortcut"]
    assert "000_convolutional is a larger map than 001_convolutional" in residual_blocks(larger).others["002_shortcut"]
