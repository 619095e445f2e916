"""``prune``: channels removed, a plain cfg and weights written."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yoloslim.graph.from_cfg import read_cfg
from yoloslim.nn.network import Network
from yoloslim.recipes import prune as recipe
from yoloslim.runtime.load import Model
from yoloslim.runtime.save import write_darknet_weights
from yoloslim.weights.checkpoint import load_checkpoint


def paths(record: dict[str, Any]) -> dict[str, Path]:
    return {key: Path(record[key]) for key in ("cfg", "weights", "checkpoint", "plan")}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_prune_gives_every_key_and_file(run: Any, tiny: tuple[object, ...], data: Path) -> None:
    outcome = run("prune", *tiny, "--percent", 0.5, "--data", data)

    record = outcome.json
    assert record["method"] == "normal"
    for key in ("params", "macs", "lanes"):
        assert record[key]["after"] < record[key]["before"]
    assert all(0 <= record["map50"][when] <= 1 for when in ("before", "after"))
    assert 0 <= record["max_abs_diff"] < 1e-12
    folder = Path("runs/prune/tiny-pruned-001")
    assert paths(record) == {
        "cfg": folder / "tiny-pruned.cfg",
        "weights": folder / "tiny-pruned.weights",
        "checkpoint": folder / "tiny-pruned.safetensors",
        "plan": folder / "plan.json",
    }
    assert len(list(folder.iterdir())) == 5
    assert outcome.err == ""
    assert "shrunk == masked to " in outcome.out


def test_without_data_there_is_no_accuracy(run: Any, tiny: tuple[object, ...]) -> None:
    outcome = run("prune", *tiny, "--percent", 0.3, "--quiet")

    assert (outcome.out, outcome.err) == ("", "")
    assert outcome.json["map50"] == {"before": None, "after": None}


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
def test_both_results_evaluate_to_the_figure_that_prune_tells(
    run: Any, tiny: tuple[object, ...], data: Path, resize: str
) -> None:
    pruned = run("prune", *tiny, "--percent", 0.4, "--data", data, "--resize", resize, "--size", 96).json

    plain = run("eval", "--cfg", pruned["cfg"], "--weights", pruned["weights"], "--data", data).json
    checkpoint = run("eval", "--weights", pruned["checkpoint"], "--data", data).json

    assert plain["map50"] == checkpoint["map50"] == pruned["map50"]["after"]
    assert {**plain, "ms": 0} == {**checkpoint, "ms": 0}
    assert (plain["resize"], plain["size"]) == (resize, [96, 96])


def test_a_plan_gives_the_same_result_again(run: Any, tiny: tuple[object, ...]) -> None:
    first = run("prune", *tiny, "--percent", 0.5, "--size", 96, "--out", "a").json

    again = run("prune", *tiny, "--plan", first["plan"], "--size", 96, "--out", "b").json

    for name in ("tiny-pruned.cfg", "tiny-pruned.weights", "plan.json", "plan.npz"):
        assert Path("a", name).read_bytes() == Path("b", name).read_bytes()
    assert again["params"] == first["params"]


def test_removing_nothing_changes_nothing(run: Any, tiny: tuple[object, ...], shared_tiny: Path) -> None:
    record = run("prune", *tiny, "--percent", 0).json

    assert Path(record["weights"]).read_bytes() == (shared_tiny / "tiny.weights").read_bytes()
    small, whole = read_cfg(record["cfg"]), read_cfg(shared_tiny / "tiny.cfg")
    assert [node.op for node in small] == [node.op for node in whole]
    assert record["params"]["before"] == record["params"]["after"]
    assert record["max_abs_diff"] == 0


def test_options_reach_the_plan(run: Any, tiny: tuple[object, ...]) -> None:
    options = ("--round", 4, "--min-keep", 0.5, "--normalize", "layer")
    record = run("prune", *tiny, "--percent", 0.9, *options).json

    filters = [node.op.filters for node in read_cfg(record["cfg"]) if "convolutional" in node.name][:-1]
    assert all(count % 4 == 0 for count in filters)
    assert all(count >= whole / 2 for count, whole in zip(filters, (8, 16, 12, 16), strict=True))
    found = json.loads(Path(record["plan"]).read_text())["options"]
    wanted = {"percent": 0.9, "round_to": 4, "min_keep": 0.5, "normalize": "layer"}
    assert {key: found[key] for key in wanted} == wanted


def test_parts_of_a_method_can_be_replaced(run: Any, tiny: tuple[object, ...]) -> None:
    options = ("--score", "l2", "--reduction", "mean", "--over", "layer", "--freeze", "none", "--only", "00*")
    record = run("prune", *tiny, "--percent", 0.5, *options).json

    found = json.loads(Path(record["plan"]).read_text())["options"]
    wanted = {"score": "l2", "reduction": "mean", "over": "layer", "frozen": "", "only": "00*"}
    assert {key: found[key] for key in wanted} == wanted
    filters = [node.op.filters for node in read_cfg(record["cfg"]) if "convolutional" in node.name]
    assert filters == [4, 8, 6, 8, 14]


def test_folding_and_recalibration_change_numbers_but_no_shape(run: Any, tiny: tuple[object, ...], data: Path) -> None:
    common = ("prune", *tiny, "--percent", 0.4, "--data", data)
    records = [run(*common, *more).json for more in ((), ("--no-fold",), ("--recalibrate", 4))]

    weights = [Path(record["weights"]).read_bytes() for record in records]
    assert len(set(weights)) == 3
    assert len({len(content) for content in weights}) == 1


def test_the_checkpoint_learns_the_class_names_of_the_data(run: Any, tiny: tuple[object, ...], data: Path) -> None:
    record = run("prune", *tiny, "--percent", 0.2, "--data", data).json

    assert load_checkpoint(record["checkpoint"]).names == ("round", "square")


def test_single_class_counts_for_the_accuracy(run: Any, tiny: tuple[object, ...], data: Path) -> None:
    pruned = run("prune", *tiny, "--percent", 0.2, "--data", data, "--single-class").json

    checked = run("eval", "--weights", pruned["checkpoint"], "--data", data, "--single-class").json
    assert pruned["map50"]["after"] == checked["map50"]
    assert load_checkpoint(pruned["checkpoint"]).names == ()


def test_what_is_wrong_with_the_data_is_told_once(run: Any, tiny: tuple[object, ...], data: Path) -> None:
    (data.parent / "labels" / "val" / "0.txt").write_text("9 .5 .5 .2 .2\n")

    assert run("prune", *tiny, "--percent", 0.2, "--data", data).err.count("\n") == 1


def test_a_difference_that_is_no_rounding_stops_with_1_and_writes_nothing(
    run: Any, tiny: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "max_abs_diff", lambda *_: float("nan"))

    outcome = run("prune", *tiny, "--percent", 0.2, "--out", "p")

    assert outcome.code == 1
    assert outcome.err == "error: shrunk and masked network differ by nan; nothing was written\n"
    assert outcome.json["error"] == outcome.err[len("error: ") : -1]
    assert not Path("p").exists()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--percent", 1.5], "'--percent': expected a number from 0 to 1, found 1.5"),
        ([], "prune needs --percent SHARE (0 to 1), --target KIND=NUMBER, --plan FILE, --sweep or --classes keep=ID,"),
        (["--percent", 0.5, "--plan", "plan.json"], "found --percent and --plan: leave the others out"),
        (["--percent", 0.5, "--target", "params=0.5"], "found --percent and --target: leave the others out"),
        (["--percent", 0.5, "--recalibrate", 8], "--recalibrate needs pictures, found no --data"),
        (["--sweep"], "--sweep needs pictures, found no --data"),
        (["--target", "params=2"], "target params=2: expected params=SHARE, macs=SHARE, latency_ms=NUMBER@BACKEND"),
        (["--target", "params=0.0001"], "target params=0.0001 cannot be reached: method normal leaves"),
        (["--target", "latency_ms=9@abacus"], "latency by 'abacus': expected one of torch, onnxruntime"),
        (["--target", "map_drop=0.01"], "target map_drop=0.01 needs pictures, found none: give a data file"),
        (["--method", "eagleeye", "--percent", 0.5], "method eagleeye needs pictures, found none: give a data file"),
        (["--method", "layer"], "no residual block that can be dropped (it has no [shortcut])"),
        (["--method", "layer_channel", "--percent", 0.5], "no residual block that can be dropped"),
        (["--method", "layer", "--percent", 0.5], "method layer takes no percent and no target"),
        (["--percent", 0.5, "--blocks", 1], "method normal drops no residual blocks, found blocks=1"),
        (["--percent", 0.5, "--freeze", "me"], "no freeze rule 'me'; known: shortcut"),
        (["--percent", 0.5, "--only", "99*"], "only=99*: no layer with weights is named so"),
        (["--percent", 0.5, "--measure", "abacus"], "latency by 'abacus': expected one of torch, onnxruntime"),
        (["--percent", 0.5, "--round", 999999], "percent 0.5 removes nothing: a multiple of 999999 channels holds"),
        (["--target", "params=0.5", "--strict"], "--strict is for --percent, found none"),
        (["--percent", 0.99, "--strict"], "percent 0.99 is too high for this network: it would not leave 1% of 0"),
        (["--classes", "keep=0,1"], "classes keep=0,1: all 2 classes are kept as they are; leave some out"),
        (["--classes", "1,2"], "classes 1,2: expected keep=ID,ID,... such as keep=0,2"),
        (["--classes", "keep=0,2"], "classes keep=0,2: expected each id once, from 0 to 1"),
        (["--percent", 0.5, "--method", "magic"], "no pruning method 'magic'; known: normal"),
        (["--plan", "gone.json"], "gone.json: expected plan.json with plan.npz beside it"),
        (["--percent", 0.5, "--out", "file"], "--out file: expected a folder, found that file is a file"),
        (["--percent", 0.5, "--out", "file/sub"], "found that file is a file"),
        (["--percent", 0.5, "--data", "gone.yaml"], "gone.yaml: no such data file"),
        (["--percent", 0.5, "--size", 98], "--size 98: this network needs a multiple of 4"),
        (["--percent", 0.5, "--size", "big"], "--size big: expected a number of pixels such as 416, or WIDTHxHEIGHT"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_options_that_make_no_sense_are_refused(
    refused: Any, tiny: tuple[object, ...], tmp_path: Path, options: list[object], expected: str
) -> None:
    (tmp_path / "file").touch()

    assert expected.replace("that file is", f"that {tmp_path}/file is") in refused("prune", *tiny, *options).replace(
        "that file is", f"that {tmp_path}/file is"
    )
    assert not (tmp_path / "runs").exists()


def test_a_plan_of_another_cfg_is_refused_and_earlier_results_stay(
    run: Any, refused: Any, tiny: tuple[object, ...], shared_tiny: Path
) -> None:
    run("prune", *tiny, "--percent", 0.5, "--out", "p")
    before = contents(Path("p"))
    Path("other.cfg").write_text((shared_tiny / "tiny.cfg").read_text().replace("mish", "relu"))

    line = refused("prune", "--cfg", "other.cfg", *tiny[2:], "--plan", "p/plan.json", "--out", "p")

    assert line == "error: p/plan.json: made for another cfg than other.cfg; plan that cfg anew"
    assert contents(Path("p")) == before


def test_a_plan_that_was_tampered_with_is_refused(run: Any, refused: Any, tiny: tuple[object, ...]) -> None:
    run("prune", *tiny, "--percent", 0.5, "--out", "p")
    np.savez(Path("p/plan.npz"), keep=np.zeros(5, bool))

    assert "the plan has 5 lanes" in refused("prune", *tiny, "--plan", "p")


def test_training_pictures_that_cannot_be_read_are_no_reason_to_go_on(
    refused: Any, tiny: tuple[object, ...], data: Path
) -> None:
    for picture in (data.parent / "images" / "train").iterdir():
        picture.write_bytes(b"")

    line = refused("prune", *tiny, "--percent", 0.5, "--data", data, "--recalibrate", 3)

    assert line == "error: --recalibrate 3: none of 4 training pictures can be read"


@pytest.fixture
def residual(tmp_path: Path) -> tuple[object, ...]:
    """The options that name a network with four residual blocks."""
    branch = "[convolutional]\nbatch_normalize=1\nfilters={}\nactivation=leaky\n\n"
    block = branch.format(4) + branch.format(8) + "[shortcut]\nfrom=-3\nactivation=linear\n\n"
    head = "[convolutional]\nfilters=14\nactivation=linear\n\n[yolo]\nmask=0,1\nanchors=10,14, 23,27\nclasses=2\n"
    text = "[net]\nwidth=64\nheight=64\nchannels=3\n\n" + branch.format(8) + 4 * block + head
    (tmp_path / "blocks.cfg").write_text(text)
    network = Network(read_cfg(tmp_path / "blocks.cfg"))
    for index in range(4):
        network.state_dict()[f"{2 + 3 * index:03d}_convolutional.norm.weight"].fill_(1 - index / 10)
    write_darknet_weights(Model(network), tmp_path / "blocks.weights")
    return "--cfg", tmp_path / "blocks.cfg", "--weights", tmp_path / "blocks.weights"


def test_layer_drops_a_quarter_of_the_blocks_and_says_so(run: Any, residual: tuple[object, ...]) -> None:
    outcome = run("prune", *residual, "--method", "layer")

    assert outcome.json["blocks"] == {"before": 4, "after": 3}
    assert "4 -> 3 (-25.0 %) of those that can be dropped; a quarter, as --blocks is not given" in outcome.out
    assert len(read_cfg(outcome.json["cfg"])) == len(read_cfg(residual[1])) - 3
    plan = json.loads(Path(outcome.json["plan"]).read_text())
    assert plan["dropped_blocks"] == ["012_shortcut"]


def test_a_plan_with_blocks_is_applied_again(run: Any, residual: tuple[object, ...]) -> None:
    first = run("prune", *residual, "--method", "layer_channel", "--blocks", 2, "--percent", 0.3, "--out", "a").json

    run("prune", *residual, "--plan", first["plan"], "--out", "b")

    for name in ("blocks-pruned.cfg", "blocks-pruned.weights", "plan.json", "plan.npz"):
        assert Path("a", name).read_bytes() == Path("b", name).read_bytes()
    assert first["blocks"] == {"before": 4, "after": 2}
    assert first["max_abs_diff"] < 1e-12


def test_a_budget_is_met(run: Any, tiny: tuple[object, ...]) -> None:
    record = run("prune", *tiny, "--method", "slim", "--target", "params=0.5").json
    assert 0.45 < record["params"]["after"] / record["params"]["before"] <= 0.5


def test_a_budget_between_two_plans_is_told(run: Any, tiny: tuple[object, ...]) -> None:
    outcome = run("prune", *tiny, "--method", "slim", "--target", "params=0.5", "--round", 8)
    assert "target params=0.5 falls between two plans: the plan leaves" in outcome.err
    assert outcome.json["note"].startswith("target params=0.5 falls between two plans")


def test_a_percent_that_yields_less_says_what_held(run: Any, tiny: tuple[object, ...]) -> None:
    outcome = run("prune", *tiny, "--method", "slim", "--percent", 0.95, "--min-keep", 0.25)

    short = outcome.json["shortfall"]
    assert short["removed"] < short["asked"]
    assert 1 <= len(short["holds"]) <= 3
    assert f"asked for {short['asked']} lanes, {short['removed']} go" in outcome.err
    assert "at least 25% of a layer and one channel" in outcome.err
    again = run("prune", *tiny, "--method", "slim", "--percent", short["works"], "--min-keep", 0.25)
    assert again.json["shortfall"] is None


def test_classes_are_dropped_with_their_names_and_measured(run: Any, tiny: tuple[object, ...], data: Path) -> None:
    outcome = run("prune", *tiny, "--classes", "keep=1", "--data", data)

    record = outcome.json
    assert record["class_diff"] < 1e-12
    assert "kept classes == before to" in outcome.out
    assert load_checkpoint(record["checkpoint"]).names == ("square",)
    assert read_cfg(record["cfg"]).classes == 1
    assert record["map50"]["before"] == record["map50"]["after"]
    whole = run("eval", *tiny, "--data", data).json
    assert record["map50"]["after"] == pytest.approx(whole["per_class"][1]["map50"], abs=1e-6)


def test_classes_and_channels_go_together(run: Any, tiny: tuple[object, ...], data: Path) -> None:
    options = ("--classes", "keep=0", "--percent", 0.3, "--data", data)
    record = run("prune", *tiny, *options, "--out", "a").json
    again = run("prune", *tiny, "--classes", "keep=0", "--plan", record["plan"], "--out", "b").json
    assert again["params"] == record["params"]
    assert Path("a/tiny-pruned.weights").read_bytes() == Path("b/tiny-pruned.weights").read_bytes()


def test_seen_starts_from_zero_in_what_is_written(run: Any, tiny: tuple[object, ...], tmp_path: Path) -> None:
    weights = tmp_path / "seen.weights"
    data = bytearray(Path(str(tiny[3])).read_bytes())
    data[12:20] = (32_013_312).to_bytes(8, "little")
    weights.write_bytes(data)

    record = run("prune", "--cfg", tiny[1], "--weights", weights, "--percent", 0.3).json

    assert Path(record["weights"]).read_bytes()[12:20] == bytes(8)
    assert load_checkpoint(record["checkpoint"]).provenance["darknet_header"][3] == 0


def test_a_checkpoint_remembers_its_channels_through_two_prunings(run: Any, tiny: tuple[object, ...]) -> None:
    first = run("prune", *tiny, "--method", "slim", "--percent", 0.4, "--out", "a").json
    second = run("prune", "--weights", first["checkpoint"], "--method", "slim", "--percent", 0.4, "--out", "b").json

    once, twice = (load_checkpoint(record["checkpoint"]).origin for record in (first, second))
    assert once["cfg_sha256"] == twice["cfg_sha256"] == json.loads(Path(first["plan"]).read_text())["cfg_sha256"]
    assert {name: len(kept["channels"]) for name, kept in twice["nodes"].items()} == json.loads(
        Path(second["plan"]).read_text()
    )["kept"]
    for name, kept in twice["nodes"].items():
        assert set(kept["channels"]) <= set(once["nodes"][name]["channels"])


def test_recalibration_is_compared_with_folding(run: Any, tiny: tuple[object, ...], data: Path) -> None:
    outcome = run("prune", *tiny, "--percent", 0.4, "--data", data, "--recalibrate", 4)

    record = outcome.json
    assert set(record["compared"]) == {"cut", "folded", "recalibrated"}
    assert record["compared"]["recalibrated"] == record["map50"]["after"]
    assert "cut 0." in outcome.out
    folded = run("prune", *tiny, "--percent", 0.4, "--data", data).json
    cut = run("prune", *tiny, "--percent", 0.4, "--data", data, "--no-fold").json
    assert record["compared"]["folded"] == folded["map50"]["after"]
    assert record["compared"]["cut"] == cut["map50"]["after"]
    assert (folded["fold_gap"] is None, cut["fold_gap"] is None) == (False, True)


def test_eagleeye_is_the_same_for_the_same_seed(run: Any, tiny: tuple[object, ...], data: Path) -> None:
    options = ("--method", "eagleeye", "--target", "params=0.5", "--candidates", 3, "--pictures", 4, "--data", data)
    plans = [
        json.loads(Path(run("prune", *tiny, *options, "--seed", seed, "--out", name).json["plan"]).read_text())
        for seed, name in ((0, "a"), (0, "b"), (1, "c"))
    ]
    assert plans[0] == plans[1]
    assert plans[0]["options"]["seed"] != plans[2]["options"]["seed"]


def test_taylor_scores_come_from_the_training_pictures(run: Any, tiny: tuple[object, ...], data: Path) -> None:
    record = run("prune", *tiny, "--score", "taylor", "--percent", 0.3, "--data", data, "--pictures", 4).json
    assert json.loads(Path(record["plan"]).read_text())["options"]["score"] == "taylor"
    assert record["lanes"]["after"] < record["lanes"]["before"]


def test_accuracy_that_may_be_lost_is_a_target(run: Any, tiny: tuple[object, ...], data: Path) -> None:
    record = run("prune", *tiny, "--target", "map_drop=1", "--data", data, "--method", "slim").json
    assert record["lanes"]["after"] < 0.5 * record["lanes"]["before"]
    record = run("prune", *tiny, "--target", "map_drop=0", "--data", data, "--method", "slim").json
    assert record["map50"]["after"] >= record["map50"]["before"]


@pytest.mark.parametrize("faster", [True, False])
def test_latency_is_told_and_a_rounding_advised_where_nothing_is_gained(
    run: Any, tiny: tuple[object, ...], monkeypatch: pytest.MonkeyPatch, faster: bool
) -> None:
    def fake_ms(network: Network, backend: str) -> float:
        filters = network.get_submodule("001_convolutional").conv.out_channels
        return filters if faster else 10.0 if filters % 8 else filters / 2

    monkeypatch.setattr("yoloslim.recipes.latency.network_ms", fake_ms)
    outcome = run("prune", *tiny, "--method", "slim", "--percent", 0.3, "--measure", "torch", "--seed", 0)
    times = outcome.json["latency_ms"]["torch"]
    assert f"torch       {times['before']:.1f} -> {times['after']:.1f} ms" in outcome.out
    assert ("pruning did not make it faster by torch" in outcome.err) == (times["after"] > 0.98 * times["before"])
    assert faster == (outcome.err == "")


def test_a_sweep_writes_plans_a_plot_and_the_command_for_the_knee(
    run: Any, tiny: tuple[object, ...], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fake_accuracy(*_: object) -> Any:
        return lambda network: 0.8 if sum(p.numel() for p in network.parameters()) > 1500 else 0.1

    monkeypatch.setattr("yoloslim.recipes.evidence.accuracy_on", fake_accuracy)
    monkeypatch.setattr("yoloslim.recipes.latency.network_ms", lambda network, backend: 1.0)
    outcome = run("prune", *tiny, "--method", "slim", "--sweep", "--data", data, "--out", "s")

    record = outcome.json
    low, high = record["cliff"]
    assert high - low == pytest.approx(0.01)
    assert record["knee"] == low
    assert f"AP50 falls most from {low:.2f} (0.8000) to {high:.2f} (0.1000)" in outcome.out
    assert Path("s/sweep.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(Path("s").glob("percent-*/plan.json"))) == len(record["points"])
    assert not list(Path("s").glob("**/*.weights"))
    command = next(line.strip() for line in outcome.out.splitlines() if line.startswith("  yoloslim prune"))
    chosen = run(*shlex.split(command)[1:]).json
    point = next(point for point in record["points"] if point["percent"] == record["knee"])
    assert chosen["params"]["after"] == point["params"]


@pytest.mark.parametrize("method", ["layer", "eagleeye"])
def test_a_method_without_a_percent_cannot_be_swept(
    refused: Any, tiny: tuple[object, ...], data: Path, method: str
) -> None:
    assert "--sweep varies the percent" in refused("prune", *tiny, "--sweep", "--method", method, "--data", data)
