"""Two plans for one network, compared."""

from pathlib import Path

import numpy as np
import pytest

from yoloslim.compress.pruning.difference import compare_plans
from yoloslim.compress.pruning.plan import PruningPlan, save_plan
from yoloslim.errors import PlanError
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.lanes import trace_lanes

TEXT = (
    "[net]\nwidth=16\nheight=16\nchannels=3\n[convolutional]\nfilters=4\n[convolutional]\nfilters=2\n"
    "[convolutional]\nfilters=4\n[shortcut]\nfrom=0\nactivation=linear\n"
)


def saved(folder: Path, graph: Graph, removed: list[int], dropped: tuple[str, ...] = (), **options: float) -> Path:
    keep = np.ones(trace_lanes(graph).count, dtype=bool)
    keep[removed] = False
    save_plan(PruningPlan(keep, "slim", options, dropped), graph, trace_lanes(graph), folder)
    return folder


def test_plans_are_compared_lane_by_lane_and_layer_by_layer(tmp_path: Path) -> None:
    graph = parse_cfg(TEXT)
    first = saved(tmp_path / "a", graph, [3, 4], percent=0.2, round_to=1)
    second = saved(tmp_path / "b", graph, [4, 7], percent=0.3, round_to=1)

    found = compare_plans(first, second / "plan.json")

    assert found.lanes == {"both": 6, "only_first": 1, "only_second": 1, "neither": 1}
    assert found.nodes == {
        "000_convolutional": (2, 3),
        "001_convolutional": (2, 1),
        "002_convolutional": (2, 3),
        "003_shortcut": (2, 3),
    }
    assert found.options == {"percent": (0.2, 0.3)}
    assert found.dropped == ((), ())


def test_dropped_blocks_are_compared(tmp_path: Path) -> None:
    graph = parse_cfg(TEXT)
    first, second = saved(tmp_path / "a", graph, [7, 8], ("003_shortcut",)), saved(tmp_path / "b", graph, [])
    assert compare_plans(first, second).dropped == (("003_shortcut",), ())
    assert compare_plans(second, first).nodes["001_convolutional"] == (2, 0)


def test_a_plan_equals_itself(tmp_path: Path) -> None:
    folder = saved(tmp_path / "a", parse_cfg(TEXT), [3])
    found = compare_plans(folder, folder)
    assert (found.nodes, found.options, found.lanes["only_first"]) == ({}, {}, 0)


def test_plans_for_different_cfgs_are_not_compared(tmp_path: Path) -> None:
    first = saved(tmp_path / "a", parse_cfg(TEXT), [3])
    second = saved(tmp_path / "b", parse_cfg(TEXT.replace("filters=2", "filters=3")), [3])
    with pytest.raises(PlanError, match="were made for different cfgs"):
        compare_plans(first, second)


def test_a_missing_plan_is_told(tmp_path: Path) -> None:
    first = saved(tmp_path / "a", parse_cfg(TEXT), [3])
    with pytest.raises(PlanError, match=r"expected plan\.json with plan\.npz beside it"):
        compare_plans(first, tmp_path / "gone")
