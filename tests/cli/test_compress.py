"""``compress`` as a user types it: what is refused before anything runs."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from yoloslim.cli import main

RECIPE = '[model]\ncfg = "yolov3-tiny"\n[data]\ndata = "none.yaml"\n[train]\nepochs = 1\n[prune]\npercent = 0.5\n'


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "small.toml"
    path.write_text(RECIPE)
    return path


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["compress", *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_a_misspelt_key_is_refused_before_anything_runs(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe.write_text(RECIPE.replace("epochs", "epoch"))

    line = refusal(capsys, str(recipe))

    assert line == f"error: {recipe}: [train] epoch is not a key of a recipe; did you mean epochs?"
    assert not (recipe.parent / "runs").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("name=a", "none.yaml: no such data file"),
        ("model.cfg=nowhere.cfg", "nowhere.cfg: cannot read this cfg"),
        ("model.cfg=yolov9", "'yolov9' is no network"),
        ("model.weights=none.weights", "none.weights: cannot read this file"),
    ],
)
def test_a_missing_file_is_refused_before_anything_runs(
    recipe: Path, capsys: pytest.CaptureFixture[str], change: str, message: str
) -> None:
    (recipe.parent / "data" / "images").mkdir(parents=True)
    if not change.startswith("name"):
        recipe.write_text(RECIPE.replace("none.yaml", "some.yaml"))
        cv2.imwrite(str(recipe.parent / "data" / "images" / "a.png"), np.zeros((32, 32, 3), np.uint8))
        (recipe.parent / "some.yaml").write_text("train: data/images\nval: data/images\nnames: [a]\n")

    assert message in refusal(capsys, str(recipe), "--set", change)
    assert not (recipe.parent / "runs").exists()


def write_pictures(folder: Path) -> None:
    (folder / "data" / "images").mkdir(parents=True)
    cv2.imwrite(str(folder / "data" / "images" / "a.png"), np.zeros((32, 32, 3), np.uint8))
    (folder / "none.yaml").write_text("train: data/images\nval: data/images\nnames: [a]\n")


def test_a_dry_run_checks_and_prints_the_recipe_and_runs_nothing(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(recipe.parent)
    changes = ["--set", "train.batch=4", "--seed", "7", "--device", "cpu"]

    assert main(["compress", str(recipe), *changes, "--dry-run", "--json", "r.json"]) == 0

    assert "batch = 4" in capsys.readouterr().out
    found = json.loads(Path("r.json").read_text())["recipe"]
    assert (found["train"]["batch"], found["train"]["seed"], found["device"]) == (4, 7, "cpu")
    assert not (recipe.parent / "runs").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model.weights=none.weights", "none.weights: cannot read this file"),
        ("data.size=33", "joins maps of different sizes"),
        ("device=quantum", "quantum cannot be used"),
    ],
)
def test_a_dry_run_finds_what_does_not_fit(
    recipe: Path, capsys: pytest.CaptureFixture[str], change: str, message: str
) -> None:
    write_pictures(recipe.parent)

    assert message in refusal(capsys, str(recipe), "--set", change, "--dry-run")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "prune.percent=0.5", "--out", "small.toml"], "--out small.toml: expected a folder, found that"),
        (["--json", "small.toml/r.json"], "--json, folder "),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_anything_runs(
    recipe: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    write_pictures(recipe.parent)

    assert message in refusal(capsys, str(recipe), *arguments)
    assert not (recipe.parent / "runs").exists()


def test_a_target_that_no_pruning_reaches_is_refused_before_anything_runs(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(recipe.parent)
    recipe.write_text(RECIPE.replace("percent = 0.5", 'target = "params=0.0001"'))

    assert "target params=0.0001 cannot be reached" in refusal(capsys, str(recipe))
    assert not (recipe.parent / "runs").exists()
