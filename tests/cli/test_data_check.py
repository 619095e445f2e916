"""``data check`` and ``data stats``: what is wrong with a data set, and what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import pytest

SPLITS = {"train": {"pictures": 4, "boxes": 8}, "val": {"pictures": 6, "boxes": 12}}


def test_a_sound_set_ends_with_0(data: Path, run: Any) -> None:
    outcome = run("data", "check", "--data", data)

    assert outcome.code == 0
    assert outcome.out == f"train: 4 pictures, 8 boxes\nval: 6 pictures, 12 boxes\n\n{data}: no problems\n"
    counts = {"errors": 0, "warnings": 0, "notes": 0, "kinds": [], "problems": []}
    assert outcome.json == {"schema": 1, "data": str(data), "splits": SPLITS, **counts}


def test_errors_are_told_by_kind_and_place_and_end_with_1(data: Path, run: Any) -> None:
    label = data.parent / "labels/train/1.txt"
    label.write_text("0 .3 .4 .3 .5\n1 .7 .5 .4 .4\n0 .5 .5 0 .2\n")
    (data.parent / "labels/val/2.txt").write_text("")

    outcome = run("data", "check", "--data", data)

    assert outcome.code == 1
    assert outcome.err == f"error: {data}: 1 error, 1 warning\n"
    assert "error: box without area (1): the box is left out" in outcome.out
    assert f"  {label}:3: the box has no area" in outcome.out
    record = outcome.json
    assert (record["errors"], record["warnings"], record["notes"]) == (1, 1, 0)
    assert [(row["kind"], row["severity"], row["count"]) for row in record["kinds"]] == [
        ("box without area", "error", 1),
        ("labels without boxes", "warning", 1),
    ]
    assert (record["problems"][0]["path"], record["problems"][0]["line"]) == (str(label), 3)


def test_warnings_alone_end_with_0_and_only_the_first_are_printed(data: Path, run: Any) -> None:
    for number in range(6):
        (data.parent / f"labels/val/{number}.txt").write_text("")

    outcome = run("data", "check", "--data", data)

    assert outcome.code == 0
    assert outcome.out.count(": has no box\n") == 5
    assert "  and 1 more; --json lists all\n" in outcome.out
    assert len(outcome.json["problems"]) == 6
    assert outcome.out.endswith(f"{data}: 6 warnings\n")


def test_a_set_that_cannot_be_opened_is_refused(data: Path, refused: Any) -> None:
    data.write_text("train: gone\nnames: [round]\n")

    assert "no such file or folder" in refused("data", "check", "--data", data)
    assert "no such data file" in refused("data", "stats", "--data", "none.yaml")


def test_stats_are_told_in_tables_and_drawn(data: Path, run: Any) -> None:
    outcome = run("data", "stats", "--data", data, "--out", "plots", "--size", "128x64", "--resize", "stretch")

    record = outcome.json
    assert outcome.code == 0
    counts = {split: {key: row[key] for key in ("pictures", "boxes")} for split, row in record["splits"].items()}
    assert counts == SPLITS
    assert record["splits"]["train"]["classes"][1] == {"name": "square", "boxes": 4, "pictures": 4}
    assert record["splits"]["train"]["side_px"]["most"] == pytest.approx((0.4 * 128 * 0.4 * 64) ** 0.5, rel=1e-5)
    assert record["plots"] == ["plots/classes.png", "plots/boxes.png"]
    assert all(cv2.imread(path) is not None for path in record["plots"])
    assert "square" in outcome.out


def test_stats_without_a_folder_write_nothing(data: Path, run: Any) -> None:
    before = set(data.parent.parent.rglob("*"))

    outcome = run("data", "stats", "--data", data, "--quiet")

    assert (outcome.code, outcome.out, outcome.json["plots"]) == (0, "", [])
    assert {path.name for path in set(data.parent.parent.rglob("*")) - before} == {"result.json"}


@pytest.mark.medium
def test_the_known_faults_of_real_sets_are_told(data_dir: Path, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOLOSLIM_TEST_DATA", str(data_dir))
    examples = Path(__file__).resolve().parents[2] / "examples"

    def paths(data: Path, kind: str) -> list[str]:
        problems = run("data", "check", "--data", data).json["problems"]
        return [Path(row["path"]).name for row in problems if row["kind"] == kind]

    assert sorted(paths(examples / "bccd.yaml", "box without area")) == ["BloodImage_00338.xml", "BloodImage_00343.xml"]
    assert paths(examples / "coco128.yaml", "picture without labels") == ["000000000250.jpg", "000000000508.jpg"]
    chess = data_dir / "chess_pieces" / "dataset" / "Chess_pieces" / "data.yaml.yaml"
    assert [name[:8] for name in paths(chess, "labels without boxes")] == ["e0d38d15"]


def test_fix_writes_a_set_that_checks_clean_and_leaves_the_source(data: Path, run: Any) -> None:
    label = data.parent / "labels/train/1.txt"
    label.write_text("0 .3 .4 .3 .5\n1 .7 .5 .4 .4\n0 .5 .5 0 .2\n")

    outcome = run("data", "check", "--data", data, "--fix", "--out", "clean")

    assert outcome.code == 0
    assert "wrote clean/data.yaml\n" in outcome.out
    assert outcome.out.endswith("clean/data.yaml: no problems\n")
    assert (outcome.json["errors"], outcome.json["fixed"]["errors"], outcome.json["fixed"]["splits"]) == (1, 0, SPLITS)
    assert label.read_text().count("\n") == 3
    assert run("data", "check", "--data", "clean/data.yaml").code == 0


def test_fix_writes_into_a_new_folder_of_runs(data: Path, run: Any) -> None:
    names = [run("data", "check", "--data", data, "--fix").json["fixed"]["data"] for _ in range(2)]

    assert names == ["runs/data-check/data-001/data.yaml", "runs/data-check/data-002/data.yaml"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--out", "clean"], "--out goes with --fix"), (["--fix", "--out", "."], "expected a new or an empty folder")],
)
def test_wrong_calls_of_fix_end_before_the_work(
    data: Path, refused: Any, arguments: list[object], message: str
) -> None:
    assert message in refused("data", "check", "--data", data, *arguments)
