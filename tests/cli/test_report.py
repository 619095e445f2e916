"""``report``: the page of a run that has none yet."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

ROW = {"map50": 0.5, "map": 0.25, "precision": 0.5, "recall": 0.5, "f1": 0.5, "loss": 2.0}
RECIPE = '[model]\ncfg = "yolov3-tiny"\n[data]\ndata = "gone.yaml"\n[train]\nepochs = 1\n[prune]\npercent = 0.5\n'


def write_training(folder: Path, epochs: int) -> None:
    (folder / "plots").mkdir(parents=True)
    rows = [{"epoch": n, **ROW, "map50": 0.9 if n == 2 else 0.5} for n in range(1, epochs + 1)]
    (folder / "results.json").write_text(json.dumps(rows))
    (folder / "recipe.toml").write_text('name = "<squares>"\n')
    for name in ("losses.png", "batch-1.jpg"):
        cv2.imwrite(str(folder / "plots" / name), np.zeros((8, 8, 3), np.uint8))


def write_compression(folder: Path) -> None:
    stage = {"params": 10, "macs": 20, "bytes": 30, "map50": 0.5, "map": 0.25, "latency_ms": 1.0, "backend": "torch"}
    stages = [{"name": name, **stage, "path": f"old/{name}/net.safetensors"} for name in ("dense", "pruned")]
    folder.mkdir()
    (folder / "summary.json").write_text(json.dumps({"schema": 1, "stages": stages}))
    (folder / "recipe.toml").write_text(RECIPE)
    (folder / "dense").mkdir()
    (folder / "dense" / "results.json").write_text(json.dumps([{"epoch": 1, "map50": 0.5}]))
    (folder / "dense" / "net.safetensors").write_text("")


def test_a_training_is_shown_with_its_figures_plots_and_recipe(run: Any, tmp_path: Path) -> None:
    write_training(tmp_path / "run", epochs=3)

    outcome = run("report", "run")

    html = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert (outcome.code, outcome.json["path"], outcome.out) == (0, "run/report.html", "report run/report.html\n")
    assert "3 epochs. AP50 0.500 after the last, 0.900 after epoch 2." in html
    assert html.count("<tr><td>") == 3
    assert re.findall(r'src="(data:image/\w+)', html) == ["data:image/jpeg", "data:image/png"]
    assert "&lt;squares&gt;" in html


def test_a_long_training_is_thinned_out_to_its_last_epoch(run: Any, tmp_path: Path) -> None:
    write_training(tmp_path / "run", epochs=120)

    run("report", "run")

    epochs = re.findall(r"<tr><td>(\d+)</td>", (tmp_path / "run" / "report.html").read_text("utf-8"))
    assert (len(epochs), epochs[0], epochs[-1]) == (40, "3", "120")


def test_a_pruning_is_shown_with_what_stays_of_each_layer(run: Any, tiny: tuple[object, ...], tmp_path: Path) -> None:
    pruned = run("prune", *tiny, "--percent", 0.5, "--out", "pruned", "--quiet").json

    run("report", "pruned")

    html = (tmp_path / "pruned" / "report.html").read_text("utf-8")
    kept = json.loads((tmp_path / "pruned" / "plan.json").read_text())["kept"]
    assert f"{pruned['params']['after']:,} parameters and" in html
    assert all(f"<td>{name}</td><td>{count}</td>" in html for name, count in kept.items())


def test_a_compression_whose_data_are_gone_is_shown_without_pictures(run: Any, tmp_path: Path) -> None:
    write_compression(tmp_path / "run")

    outcome = run("report", "run")

    html = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert outcome.err.startswith("warning: without pictures: gone.yaml")
    assert "<td>pruned</td>" in html
    assert "<svg" in html  # the curve of the stage that was trained, found where the run was moved to
    assert "<figure>" not in html


def test_a_page_that_is_there_stays(run: Any, tmp_path: Path) -> None:
    write_training(tmp_path / "run", epochs=1)
    (tmp_path / "run" / "report.html").write_text("mine")

    assert run("report", "run").json["path"] == "run/report.html"
    assert (tmp_path / "run" / "report.html").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("", "", "found no such folder"),
        ("other.txt", "", "found none of summary.json, results.json, plan.json"),
        ("results.json", "[]", "results.json: expected a row an epoch, found none; let the training go on"),
        ("results.json", "{half", "results.json: cannot be read"),
        (
            "summary.json",
            '{"stages": []}',
            "summary.json: expected the stages of a compression, found none; let it go on",
        ),
        (
            "summary.json",
            '{"stages": [{"name": "dense"}]}',
            "summary.json: expected the stages of a compression (TypeE",
        ),
        ("plan.json", "{}", "expected plan.json and the .cfg of the pruned network; prune again"),
    ],
)
def test_a_folder_that_is_no_run_is_told(
    name: str, content: str, message: str, refused: Callable[..., str], tmp_path: Path
) -> None:
    if name:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / name).write_text(content)

    assert message in refused("report", "run")
    assert not (tmp_path / "run" / "report.html").exists()
