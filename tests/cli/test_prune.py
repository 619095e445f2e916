"""``prune``: channels removed, a plain cfg and weights written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yoloslim.graph.from_cfg import read_cfg
from yoloslim.recipes import prune as recipe
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
    assert json.loads(Path(record["plan"]).read_text())["options"] == {
        "percent": 0.9,
        "round_to": 4,
        "min_keep": 0.5,
        "normalize": "layer",
    }


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
        ([], "prune needs --percent SHARE (0 to 1) or --plan FILE, found neither: give one of them"),
        (["--percent", 0.5, "--plan", "plan.json"], "found both: give one of them"),
        (["--percent", 0.5, "--recalibrate", 8], "--recalibrate needs training pictures, found no --data"),
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
