"""Plans: what can be applied, and the two files that hold one."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from yoloslim.compress.pruning.plan import PruningPlan, cfg_digest, check_plan, load_plan, planned_lanes, save_plan
from yoloslim.errors import PlanError
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.lanes import trace_lanes
from yoloslim.graph.to_cfg import to_cfg

NET = "[net]\nwidth=16\nheight=16\nchannels=3\n"
TEXT = (
    NET
    + """[convolutional]
filters=4
[route]
layers=-1
groups=2
group_id=1
[convolutional]
filters=6
[yolo]
mask=0
classes=1
anchors=4,4
"""
)


def plan_without(*lanes: int) -> PruningPlan:
    keep = np.ones(trace_lanes(parse_cfg(TEXT)).count, dtype=bool)
    keep[list(lanes)] = False
    return PruningPlan(keep, "normal", {"percent": 0.5, "round_to": 1})


@pytest.fixture
def graph() -> Graph:
    return parse_cfg(TEXT, "tiny.cfg")


@pytest.fixture
def folder(tmp_path: Path, graph: Graph) -> Path:
    """A folder with the plan that removes lanes 3 and 6."""
    save_plan(plan_without(3, 6), graph, trace_lanes(graph), tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (PruningPlan(np.ones(5, dtype=bool)), "the plan has 5 lanes, the network 13; it was made for another cfg"),
        (plan_without(0), "removes 1 lanes that the input or a head needs, the first is lane 0"),
        (plan_without(8, 10), "removes 2 lanes that the input or a head needs, the first is lane 8"),
        (plan_without(5, 6), "removes every channel of 001_route; keep at least one"),
        (plan_without(3), r"keeps \[1, 2\] channels in parts that a grouped layer needs equal"),
    ],
    ids=["too few lanes", "the image", "a head", "an emptied layer", "unequal parts"],
)
def test_a_plan_that_cannot_be_applied_is_refused(plan: PruningPlan, message: str, graph: Graph) -> None:
    with pytest.raises(PlanError, match=message):
        check_plan(plan, trace_lanes(graph))


def test_a_plan_with_equal_parts_can_be_applied(graph: Graph) -> None:
    check_plan(plan_without(3, 6), trace_lanes(graph))


@pytest.mark.parametrize("named", ["", "plan.json"], ids=["by its folder", "by its file"])
def test_a_plan_is_read_as_it_was_saved(named: str, folder: Path, graph: Graph) -> None:
    plan, expected = load_plan(folder / named, graph), plan_without(3, 6)

    np.testing.assert_array_equal(plan.keep, expected.keep)
    assert (plan.method, plan.options) == (expected.method, expected.options)


def test_the_json_is_for_people(folder: Path, graph: Graph) -> None:
    assert json.loads((folder / "plan.json").read_text()) == {
        "schema": 1,
        "method": "normal",
        "options": {"percent": 0.5, "round_to": 1},
        "cfg_sha256": hashlib.sha256(to_cfg(graph).encode()).hexdigest(),
        "dropped_blocks": [],
        "dropped_nodes": [],
        "kept": {"000_convolutional": 2, "001_route": 1, "002_convolutional": 6, "003_yolo": 6},
    }


def test_the_choice_is_an_array_with_a_boolean_a_lane(folder: Path) -> None:
    with np.load(folder / "plan.npz") as arrays:
        assert list(arrays) == ["keep"]
        assert arrays["keep"].dtype == bool
        assert np.flatnonzero(~arrays["keep"]).tolist() == [3, 6]


def test_a_plan_for_another_cfg_is_refused(folder: Path) -> None:
    other = parse_cfg(TEXT.replace("filters=4", "filters=8"), "other.cfg")
    with pytest.raises(PlanError, match=r"plan\.json: made for another cfg than other\.cfg; plan that cfg anew"):
        load_plan(folder, other)


def test_comments_and_spacing_of_the_cfg_do_not_count(folder: Path) -> None:
    spaced = parse_cfg("# mine\n" + TEXT.replace("=", " = ").replace("[convolutional]", "\n[convolutional]"))
    assert load_plan(folder, spaced).method == "normal"
    assert cfg_digest(spaced) == cfg_digest(parse_cfg(TEXT))


BLOCKS = NET + (
    "[convolutional]\nfilters=4\n[convolutional]\nfilters=2\n[convolutional]\nfilters=4\n[shortcut]\nfrom=0\n"
    "activation=linear\n[convolutional]\nfilters=6\n[yolo]\nmask=0\nclasses=1\nanchors=4,4\n"
)


def test_a_plan_that_drops_a_block_is_read_as_it_was_saved(tmp_path: Path) -> None:
    graph = parse_cfg(BLOCKS, "blocks.cfg")
    keep = np.ones(trace_lanes(graph).count, dtype=bool)
    keep[7:9] = False  # those of the branch alone
    save_plan(PruningPlan(keep, "layer", {}, ("003_shortcut",)), graph, trace_lanes(graph), tmp_path)

    record = json.loads((tmp_path / "plan.json").read_text())
    assert record["dropped_blocks"] == ["003_shortcut"]
    assert record["dropped_nodes"] == ["001_convolutional", "002_convolutional", "003_shortcut"]
    assert record["kept"] == {
        "000_convolutional": 4,
        "001_convolutional": 0,
        "002_convolutional": 0,
        "003_shortcut": 4,
        "004_convolutional": 6,
        "005_yolo": 6,
    }
    assert load_plan(tmp_path, graph).dropped == ("003_shortcut",)


def test_a_plan_that_drops_what_is_no_block_is_refused() -> None:
    graph = parse_cfg(BLOCKS.replace("linear", "leaky"))
    plan = PruningPlan(np.ones(trace_lanes(graph).count, dtype=bool), dropped=("003_shortcut",))
    with pytest.raises(PlanError, match="003_shortcut cannot be dropped: its activation is leaky"):
        planned_lanes(graph, plan)


def test_what_a_dropped_block_alone_demands_is_not_demanded() -> None:
    graph = parse_cfg(BLOCKS)
    keep = np.ones(trace_lanes(graph).count, dtype=bool)
    keep[7:9] = False
    planned_lanes(graph, PruningPlan(keep, dropped=("003_shortcut",)))
    with pytest.raises(PlanError, match="removes every channel of 001_convolutional"):
        planned_lanes(graph, PruningPlan(keep))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def scramble(path: Path) -> None:
    data = bytearray(path.read_bytes())
    start = data.index(b"keep.npy") + len(b"keep.npy")
    data[start : start + 40] = b"\xff" * 40
    path.write_bytes(bytes(data))


def rename_array(path: Path) -> None:
    np.savez(path, lanes=np.ones(13, dtype=bool))


def store_numbers(path: Path) -> None:
    np.savez(path, keep=np.ones(13))


def store_single_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.ones(13, dtype=bool))


DAMAGE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "no json": ("plan.json", Path.unlink),
    "no npz": ("plan.npz", Path.unlink),
    "half a json": ("plan.json", cut),
    "half an npz": ("plan.npz", cut),
    "an empty json": ("plan.json", lambda path: path.write_text("")),
    "an empty npz": ("plan.npz", lambda path: path.write_bytes(b"")),
    "text for an npz": ("plan.npz", lambda path: path.write_text("keep")),
    "bytes for a json": ("plan.json", lambda path: path.write_bytes(b"\xff\xfe\x00")),
    "a json list": ("plan.json", lambda path: path.write_text("[1]")),
    "a json without keys": ("plan.json", lambda path: path.write_text("{}")),
    "a scrambled npz": ("plan.npz", scramble),
    "another array": ("plan.npz", rename_array),
    "numbers for booleans": ("plan.npz", store_numbers),
    "one array alone": ("plan.npz", store_single_array),
}


@pytest.mark.parametrize(("name", "damage"), DAMAGE.values(), ids=DAMAGE)
def test_a_missing_or_damaged_file_is_told_in_one_line(
    name: str, damage: Callable[[Path], object], folder: Path, graph: Graph
) -> None:
    damage(folder / name)

    with pytest.raises(PlanError, match=r"plan\.json: expected plan\.json with plan\.npz beside it") as caught:
        load_plan(folder, graph)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", range(40))
def test_a_byte_changed_in_the_array_is_a_plan_error_or_changes_nothing(seed: int, folder: Path, graph: Graph) -> None:
    data = bytearray((folder / "plan.npz").read_bytes())
    generator = np.random.default_rng(seed)
    data[generator.integers(len(data))] ^= 1 << int(generator.integers(8))
    (folder / "plan.npz").write_bytes(bytes(data))

    try:
        keep = load_plan(folder, graph).keep
    except PlanError:
        return
    np.testing.assert_array_equal(keep, plan_without(3, 6).keep)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("schema", 2, "schema 2, this yoloslim reads 1"),
        ("kept", {"000_convolutional": 1}, "its counts are not those of plan.npz beside it; plan anew"),
    ],
)
def test_a_plan_of_another_version_or_beside_another_array_is_refused(
    key: str, value: object, message: str, folder: Path, graph: Graph
) -> None:
    record = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps(record | {key: value}))

    with pytest.raises(PlanError, match=message):
        load_plan(folder, graph)
