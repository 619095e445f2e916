"""``train`` as a user types it: a run folder, going on, sparse and single-class runs, and what is refused."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from yoloslim.weights.checkpoint import load_checkpoint

Run = Callable[..., object]
SPARSE = ("--sparsity", "auto", "--set", "sparsity.measure_every=1")
QUICK = ("--batch", 2, "--set", "train.workers=0", "--device", "cpu")


@pytest.mark.medium
def test_a_run_folder_holds_all_that_the_run_was_and_gave(run: Run, tiny: tuple[object, ...], data: Path) -> None:
    outcome = run("train", *tiny, "--data", data, "--epochs", 2, *QUICK, "--out", "run")

    assert outcome.code == 0, outcome.err
    assert outcome.json["run"] == "run"
    assert outcome.json["epochs"] == 2
    assert outcome.json["checkpoint"] == "run/best.safetensors"
    folder = data.parent.parent / "run"
    found = {path.name for path in folder.iterdir()}
    assert found == {
        *("recipe.toml", "log.txt", "results.csv", "results.json", "plots", "tensorboard"),
        *("best.safetensors", "last.safetensors", "state.safetensors"),
    }
    assert {path.name for path in (folder / "plots").iterdir()} == {
        *("losses.png", "accuracy.png", "rate.png", "pr_curve.png", "confusion.png", "batch-1.jpg", "batch-2.jpg"),
    }
    recipe = tomllib.loads((folder / "recipe.toml").read_text())
    assert recipe["train"]["batch"] == 2
    assert recipe["loss"]["iou"] == "ciou"
    assert "train 2/2" in (folder / "log.txt").read_text()
    checkpoint = load_checkpoint(folder / "last.safetensors")
    assert (checkpoint.names, checkpoint.resize) == (("round", "square"), "letterbox")


@pytest.mark.medium
def test_resume_goes_on_with_the_recipe_of_its_run(run: Run, tiny: tuple[object, ...], data: Path) -> None:
    whole = ("train", *tiny, "--data", data, "--epochs", 3, *QUICK, "--out")
    assert run(*whole, "whole").code == 0
    assert run(*whole, "part").code == 0
    folder = data.parent.parent
    (folder / "part" / "results.csv").unlink()
    (folder / "part" / "plots" / "batch-1.jpg").unlink()
    (folder / "part" / "plots" / "confusion.png").unlink()  # as if the run was killed just before it was written

    outcome = run("train", "--resume", "part")  # it is over: nothing is trained again

    assert outcome.code == 0, outcome.err
    assert outcome.json["epochs"] == 3
    assert weights(folder / "part").keys() == weights(folder / "whole").keys()
    assert not (folder / "part" / "plots" / "batch-1.jpg").exists()
    assert (folder / "part" / "plots" / "confusion.png").exists()


@pytest.mark.medium
def test_a_checkpoint_of_other_classes_is_a_start_without_a_cfg(run: Run, tiny: tuple[object, ...], data: Path) -> None:
    assert run("train", *tiny, "--data", data, "--epochs", 1, *QUICK, "--out", "two").code == 0
    three = data.with_name("three.yaml")
    three.write_text(data.read_text().replace("[round, square]", "[round, square, other]"))

    outcome = run("train", "--weights", "two/last.safetensors", "--data", three, "--epochs", 1, *QUICK, "--out", "more")

    assert outcome.code == 0, outcome.err
    assert load_checkpoint(data.parent.parent / "more" / "last.safetensors").graph.classes == 3
    assert "the class count is 2 in the weights and 3 in the cfg" in outcome.err


@pytest.mark.medium
def test_eval_warns_where_tested_pictures_were_trained_on(run: Run, tiny: tuple[object, ...], data: Path) -> None:
    train, val = (data.parent / "images" / split for split in ("train", "val"))
    (val / "0.png").write_bytes((train / "0.png").read_bytes())
    assert run("train", *tiny, "--data", data, "--epochs", 1, *QUICK, "--out", "run").code == 0
    pruned = ("prune", "--weights", "run/last.safetensors", "--percent", 0.3, "--out", "small")
    assert run(*pruned).code == 0
    assert run("convert", "small/last-pruned.safetensors", "again.safetensors").code == 0

    outcome = run("eval", "--weights", "again.safetensors", "--data", data)
    unknown = run("eval", *tiny, "--data", data)

    assert outcome.err.splitlines() == ["warning: 1 of 6 tested pictures were trained on: AP is too high"]
    assert outcome.json["trained_on"] == 1
    assert (unknown.err, unknown.json["trained_on"]) == ("", None)


@pytest.mark.medium
@pytest.mark.parametrize("schedule", ["constant", "decay", "per-layer"])
def test_sparse_training_tells_what_could_be_pruned(
    run: Run, tiny: tuple[object, ...], data: Path, schedule: str
) -> None:
    options = (*SPARSE, "--penalty", "shortcut", "--penalty-schedule", schedule)
    outcome = run("train", *tiny, "--data", data, "--epochs", 2, *options, *QUICK, "--out", "run")

    assert outcome.code == 0, outcome.err
    assert "measured after each epoch, on 6 validation pictures" in outcome.err
    assert outcome.out.count("% of parameters at 0/0.5/1/2 points of AP50") == 2
    folder = data.parent.parent / "run"
    assert tomllib.loads((folder / "recipe.toml").read_text())["prune"]["method"] == "shortcut"
    assert (folder / "plots" / "gammas.png").stat().st_size > 0
    rows = figures(folder)
    assert all(0 <= row["prunable_0"] <= row["prunable_0.5"] <= row["prunable_1"] <= row["prunable_2"] for row in rows)
    assert all(0 <= row["prunable_params_0.5"] < 1 and row["converged"] == 0 for row in rows)
    assert all(0 <= row["tiny_gammas"] <= row["small_gammas"] <= 1 and row["strength"] > 0 for row in rows)


def test_a_dry_run_checks_and_prints_and_leaves_nothing(run: Run, tiny: tuple[object, ...], data: Path) -> None:
    outcome = run("train", *tiny, "--data", data, "--set", "train.ema=0.9", "--dry-run")

    assert outcome.code == 0, outcome.err
    assert tomllib.loads(outcome.out)["train"]["ema"] == 0.9
    assert not (data.parent.parent / "runs").exists()


@pytest.mark.medium
def test_pictures_are_fitted_as_for_the_checkpoint(run: Run, tiny: tuple[object, ...], data: Path) -> None:
    short = ("--data", data, "--epochs", 1, "--set", "train.workers=0")
    assert run("train", *tiny, *short, "--resize", "stretch", "--out", "first").code == 0
    weights = ("train", "--weights", "first/last.safetensors", *short, "--dry-run")

    found = [run(*weights, *options).json["recipe"]["data"]["resize"] for options in ((), ("--resize", "letterbox"))]

    assert found == ["stretch", "letterbox"]


def test_the_folder_of_another_training_is_refused_and_stays(run: Run, tiny: tuple[object, ...], data: Path) -> None:
    whole = ("train", *tiny, "--data", data, "--epochs", 1, *QUICK, "--out", "run")
    assert run(*whole).code == 0

    recipe, other = Path("run/recipe.toml").read_text(), ("--set", "train.ema=0.5")

    same, *others = (run(*whole, *more) for more in (("--dry-run",), other, (*other, "--dry-run")))

    assert same.code == 0, same.err
    for refused in others:
        assert refused.code == 2
        assert "error: run: holds the state of another training (settings, network or data changed)" in refused.err
        assert Path("run/recipe.toml").read_text() == recipe


def test_data_with_other_classes_than_the_cfg_are_told_before_training(run: Run, data: Path) -> None:
    outcome = run("train", "--cfg", "yolov3-tiny", "--data", data, "--dry-run")

    text = "the cfg has 80 classes, the data 2 (round, square): the network is made for the data's"
    assert outcome.err.splitlines() == [f"INFO: {text}"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "train needs --cfg and --data, or --recipe FILE, or --resume RUN"),
        (("--cfg", "tiny.cfg"), "train needs --cfg and --data, or --recipe FILE, or --resume RUN"),
        (("--cfg", "none.cfg", "--data", "set/data.yaml"), "none.cfg: cannot read this cfg"),
        (("--cfg", "yolov3-tiny", "--data", "none.yaml"), "none.yaml: no such data file"),
        (("--cfg", "yolov3-tiny", "--data", "set/data.yaml", "--size", 40), "this network needs a multiple of 32"),
        (
            ("--cfg", "yolov3-tiny", "--data", "set/data.yaml", "--sparsity", "much"),
            "--sparsity much: expected a number",
        ),
        (
            ("--cfg", "yolov3-tiny", "--data", "set/data.yaml", "--sparsity", "-1"),
            "strength: expected a number above 0",
        ),
        (
            ("--cfg", "yolov3-tiny", "--data", "set/data.yaml", "--sparsity", "nan"),
            "strength: expected a number above 0, found nan",
        ),
        (
            ("--cfg", "yolov3-tiny", "--data", "set/data.yaml", "--penalty-schedule", "fade"),
            r"\[prune\] needs one of percent",
        ),
        (("--cfg", "yolov3-tiny", "--data", "set/data.yaml", "--set", "train.epoch=3"), "did you mean epochs"),
        (("--cfg", "yolov3-tiny", "--data", "set/data.yaml", "--set", "loss.iou=eiou"), r"loss\.iou: expected"),
        (
            ("--cfg", "yolov3-tiny", "--data", "set/data.yaml", "--set", "loss.class_weights=[1,2,3]"),
            "class_weights: expected one for each of 2 classes, found 3",
        ),
        (("--cfg", "yolov3-tiny", "--data", "set/data.yaml", "--set", "sparsity.epochs=3"), "is for a compression"),
        (
            ("--cfg", "yolov3-tiny", "--data", "set/data.yaml", "--penalty", "layer"),
            r"penalty layer: this network has no residual block .*\[shortcut\]\); choose normal or shortcut",
        ),
        (
            ("--cfg", "yolov3-tiny", "--data", "set/data.yaml", "--penalty", "normal", "--set", "train.freeze=['0*']"),
            "penalty normal: all layers that it shrinks are frozen",
        ),
        (("--weights", "old.weights", "--data", "set/data.yaml"), r"only a \.safetensors brings its own network"),
        (("--resume", "nowhere"), "expected the folder of a training"),
        (("--resume", "nowhere", "--device", "cpu"), "--resume goes on with the recipe of its run"),
        (("--resume", "nowhere", "--epochs", 3), "--resume goes on with the recipe of its run"),
        (("--cfg", "yolov3-tiny", "--data", "set/data.yaml", "--device", "cuda:9"), "--device cuda:9 cannot be used"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(
    refused: Callable[..., str], data: Path, arguments: tuple[object, ...], message: str
) -> None:
    line = refused("train", *arguments)

    assert re.search(message, line), line
    assert not (data.parent.parent / "runs").exists()


def figures(folder: Path) -> list[dict[str, float]]:
    """The rows of a run, without how long they took."""
    rows = json.loads((folder / "results.json").read_text())
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Everything that the state of a run holds."""
    return load_file(folder / "state.safetensors")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize("kind", [(), SPARSE], ids=["plain", "sparse"])
def test_a_run_that_is_killed_at_random_steps_ends_bit_for_bit_as_a_whole_one(
    tmp_path: Path, tiny: tuple[object, ...], data: Path, kind: tuple[str, ...]
) -> None:
    options = ("--data", data, "--epochs", 6, "--batch", 2, "--save-every", 1, "--set", "train.workers=1")
    command = [sys.executable, "-m", "yoloslim", "train", *map(str, (*tiny, *options, *kind)), "--device", "cpu"]
    subprocess.run([*command, "--out", "whole"], cwd=tmp_path, check=True, capture_output=True)
    chance = random.Random(0)
    for _ in range(2):
        process = subprocess.Popen([*command, "--out", "part"], cwd=tmp_path, stderr=subprocess.DEVNULL)
        until_state_changes(tmp_path / "part" / "state.safetensors", chance.randint(1, 4), process)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run([*command, "--out", "part"], cwd=tmp_path, check=True, capture_output=True)

    whole, part = weights(tmp_path / "whole"), weights(tmp_path / "part")
    assert whole.keys() == part.keys()
    assert [name for name, tensor in whole.items() if not torch.equal(tensor, part[name])] == []
    assert figures(tmp_path / "whole") == figures(tmp_path / "part")
    if kind:
        assert len({row["strength"] for row in figures(tmp_path / "whole")}) > 1, "the strength did not follow AP50"
        tables = [(tmp_path / name / "gammas.csv").read_text() for name in ("whole", "part")]
        assert tables[0] == tables[1]


def until_state_changes(path: Path, times: int, process: subprocess.Popen[bytes]) -> None:
    """Waits until a file was replaced so many times, or its writer has ended."""
    seen = path.stat().st_mtime_ns if path.exists() else 0
    while times and process.poll() is None:
        now = path.stat().st_mtime_ns if path.exists() else 0
        times, seen = times - (now != seen), now
        time.sleep(0.001)
