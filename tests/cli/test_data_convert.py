"""``data convert`` as a user has it: what it prints, what it writes, what it refuses."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from yoloslim.cli import main

Run = Callable[..., Any]


def test_counts_of_what_went_in_and_came_out_are_printed_and_in_the_json(run: Run, data: Path) -> None:
    (data.parent / "labels/train/1.txt").write_text("0 .5 .5 0 .5\n0 .5 .5 .1 .1\n")
    (data.parent / "labels/val/0.txt").write_text("")

    outcome = run("data", "convert", data, "--to", "voc", "--out", "cells")

    assert outcome.code == 0
    rows = [line.split() for line in outcome.out.splitlines()]
    assert ["train", "4", "->", "4", "8", "->", "7", "0"] in rows
    assert ["val", "6", "->", "6", "10", "->", "10", "1"] in rows
    assert "train: left out: 1 x box without area" in outcome.out
    assert f"val: 1 of 6 pictures have no objects (first: {data.parent}/images/val/0.png)" in outcome.out
    assert "warning: " in outcome.err
    assert "labels/train/1.txt:1: the box has no area (w=0, h=0.5); the box is left out" in outcome.err
    assert outcome.json["splits"]["train"] == {
        "pictures": {"in": 4, "out": 4},
        "boxes": {"in": 8, "out": 7},
        "backgrounds": [],
        "left_out": {"box without area": 1},
        "changed": {},
    }
    assert outcome.json["splits"]["val"]["backgrounds"] == [f"{data.parent}/images/val/0.png"]
    assert outcome.json["paths"] == ["cells/cells.yaml", "cells/cells.data"]
    assert len(outcome.json["problems"]) == 1
    assert Path("cells/Annotations/train/0.xml").is_file()


@pytest.mark.parametrize("form", ["yolo", "yolo-obb", "voc", "coco"])
def test_what_was_written_is_evaluated(run: Run, data: Path, tiny: tuple[object, ...], form: str) -> None:
    run("data", "convert", data, "--to", form, "--out", "out")

    before = run("eval", *tiny, "--data", data).json
    after = run("eval", *tiny, "--data", "out/out.yaml").json

    assert after["map50"] == pytest.approx(before["map50"], abs=1e-6)
    assert after["images"] == before["images"] == 6
    assert [row["truths"] for row in after["per_class"]] == [6, 6]


def test_a_folder_is_converted_as_it_is_laid_out(run: Run, data: Path) -> None:
    data.unlink()
    (data.parent / "classes.txt").write_text("round\nsquare\n")

    outcome = run("data", "convert", data.parent, "--from", "yolo", "--to", "coco", "--out", "new", "--copy")

    assert outcome.code == 0
    assert outcome.json["splits"]["val"]["boxes"] == {"in": 12, "out": 12}
    assert len(list(Path("new/images/val").iterdir())) == 6


def test_a_format_overrules_what_the_data_file_says(run: Run, data: Path) -> None:
    data.write_text(data.read_text() + "format: voc\n")

    outcome = run("data", "convert", data, "--from", "yolo", "--to", "yolo", "--out", "new")

    assert outcome.json["splits"]["train"]["boxes"] == {"in": 8, "out": 8}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{data}", "--to", "voc", "--out", "full"], "full: expected a new or an empty folder, found files in it"),
        (["{data}", "--to", "voc", "--out", "new", "--copy", "--link"], "--copy and --link: expected one of them"),
        (
            ["{folder}", "--to", "voc", "--out", "new"],
            "is a folder: say with --from how it is laid out (yolo,",
        ),
        (
            ["{folder}", "--from", "dior", "--to", "voc", "--out", "new"],
            "expected the layout of dior",
        ),
        (["gone.yaml", "--to", "voc", "--out", "new"], "gone.yaml: no such data file"),
        (["{data}", "--to", "kitti", "--out", "new"], "Invalid value for '--to': 'kitti' is not one of"),
        (["{data}", "--out", "new"], "Missing option '--to'"),
        (["{data}", "--to", "voc", "--out", "full/mine/new"], "expected a folder, found that"),
    ],
)
def test_what_cannot_be_converted_is_refused_in_a_line_and_nothing_is_written(
    refused: Callable[..., str], data: Path, arguments: list[str], message: str
) -> None:
    Path("full").mkdir()
    Path("full/mine").write_text("mine")

    line = refused("data", "convert", *(text.format(data=data, folder=data.parent) for text in arguments))

    assert message in line
    assert not Path("new").exists()


DOCUMENT = Path(__file__).parents[2] / "docs" / "data.md"


@pytest.mark.medium
def test_the_commands_of_the_document_give_the_counts_of_its_table(
    run: Run, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YOLOSLIM_TEST_DATA", str(data_dir))
    (tmp_path / "examples").symlink_to(DOCUMENT.parents[1] / "examples")
    text = DOCUMENT.read_text("utf-8").partition("## Five data sets")[2]
    commands = re.findall(r"^    yoloslim (data convert .*)$", text, re.MULTILINE)
    table = [[cell.strip() for cell in line.split("|")[2:5]] for line in text.splitlines() if line.startswith("| ")][1:]

    counts = []
    for command in commands:
        outcome = run(*command.replace("${YOLOSLIM_TEST_DATA}", str(data_dir)).split())
        splits = outcome.json["splits"].values()
        sums = (("pictures", "out"), ("boxes", "in"), ("boxes", "out"))
        counts.append([f"{sum(split[what][way] for split in splits):,}" for what, way in sums])

    assert len(counts) == 5
    assert counts == table


@pytest.mark.slow
@pytest.mark.parametrize("number", range(5))
def test_two_commands_of_the_document_go_from_a_download_to_a_training(
    number: int, run: Run, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they stand there, but for smaller pictures."""
    monkeypatch.setenv("YOLOSLIM_TEST_DATA", str(data_dir))
    (tmp_path / "examples").symlink_to(DOCUMENT.parents[1] / "examples")
    text = DOCUMENT.read_text("utf-8").partition("## Five data sets")[2]
    pairs = re.findall(r"^    yoloslim (data convert .*)\n    yoloslim (train .*)$", text, re.MULTILINE)
    convert, train = (line.replace("${YOLOSLIM_TEST_DATA}", str(data_dir)).split() for line in pairs[number])

    assert run(*convert).code == 0
    outcome = run(*train, "--size", 64, "--out", "run", "--device", "cpu")

    assert outcome.code == 0, outcome.err
    assert outcome.json["epochs"] == 1
    assert (tmp_path / "run" / "last.safetensors").is_file()


def test_data_without_a_sub_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data"]) == 0
    assert "convert" in capsys.readouterr().out
