"""``check``: every problem of a cfg in one call, and ``--fix``."""

from pathlib import Path

import pytest

from yoloslim.cli import main
from yoloslim.graph.from_cfg import read_cfg
from yoloslim.graph.to_cfg import to_cfg
from yoloslim.zoo.catalog import find


@pytest.fixture
def cfg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """YOLOv3-tiny with another number of classes, and the filters before its heads forgotten, as so often."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "my.cfg"
    path.write_text("# mine\n" + to_cfg(find("yolov3-tiny")).replace("classes=80", "classes=3"))
    return path


def test_every_problem_has_its_place_and_the_exit_code_is_1(cfg: Path, run) -> None:
    outcome = run("check", "--cfg", "my.cfg")

    assert outcome.code == 1
    assert outcome.out.count("my.cfg:") == 2
    assert "needs 3 anchors x (5 + 3 classes) = 24 input channels, found 255" in outcome.out
    assert outcome.err == "error: my.cfg: 2 errors\n"
    assert [problem["severity"] for problem in outcome.json["problems"]] == ["error", "error"]


def test_a_sound_cfg_ends_with_0(cfg: Path, run) -> None:
    cfg.write_text(to_cfg(find("yolov4-tiny")))

    outcome = run("check", "--cfg", "my.cfg")

    assert (outcome.code, outcome.out, outcome.json["problems"]) == (0, "my.cfg: no problems\n", [])


def test_fix_mends_the_file_and_keeps_its_comments(cfg: Path, run) -> None:
    outcome = run("check", "--cfg", "my.cfg", "--fix")

    assert outcome.code == 0
    assert outcome.out == "mended 2 of 2 problems\nmy.cfg: no problems\n"
    assert read_cfg(cfg).classes == 3
    assert cfg.read_text().startswith("# mine\n")


def test_fix_can_write_elsewhere(cfg: Path) -> None:
    before = cfg.read_text()

    assert main(["check", "--cfg", "my.cfg", "--fix", "--out", "new.cfg"]) == 0

    assert cfg.read_text() == before
    assert read_cfg("new.cfg").classes == 3


def test_fix_writes_elsewhere_even_where_nothing_is_wrong(cfg: Path) -> None:
    cfg.write_text(to_cfg(find("yolov4-tiny")))

    assert main(["check", "--cfg", "my.cfg", "--fix", "--out", "new.cfg"]) == 0

    assert Path("new.cfg").read_text() == cfg.read_text()


@pytest.mark.parametrize("arguments", [["--cfg", "none.cfg"], ["--cfg", "my.cfg", "--out", "new.cfg"]])
def test_wrong_calls_end_with_2(cfg: Path, arguments: list[str]) -> None:
    assert main(["check", *arguments]) == 2
