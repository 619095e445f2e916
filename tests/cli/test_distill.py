"""``train`` with a teacher as a user types it: what is learnt, what is kept, and which teachers are refused."""

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from yoloslim.weights.checkpoint import load_checkpoint

Run = Callable[..., object]
QUICK = ("--epochs", 1, "--batch", 2, "--set", "train.workers=0", "--device", "cpu", "--out", "run")


def taught(tiny: tuple[object, ...], data: Path) -> tuple[object, ...]:
    """A fresh tiny network and its trained form as teacher."""
    cfg, weights = tiny[1], tiny[3]
    return "--cfg", cfg, "--data", data, "--teacher-cfg", cfg, "--teacher-weights", weights


@pytest.mark.medium
@pytest.mark.parametrize("method", ["kd5", "channels", "auto"])
def test_each_term_has_a_column_and_the_student_no_adapter(
    run: Run, tiny: tuple[object, ...], data: Path, method: str
) -> None:
    outcome = run("train", *taught(tiny, data), "--distill", method, *QUICK)

    assert outcome.code == 0, outcome.err
    folder = data.parent.parent / "run"
    (row,) = json.loads((folder / "results.json").read_text())
    terms = {key: value for key, value in row.items() if key.startswith("distill_")}
    assert len(terms) == {"kd5": 3, "channels": 1, "auto": 2}[method]
    assert min(terms.values()) >= 0
    parts = sum(terms.values()) + sum(row[key] for key in ("box", "objectness", "classes"))
    assert row["loss"] == pytest.approx(parts, rel=1e-5)
    assert tomllib.loads((folder / "recipe.toml").read_text())["distill"]["method"] == method
    plain = load_checkpoint(folder / "last.safetensors")
    assert not [name for name in plain.tensors if "probe" in name or "adapter" in name]


@pytest.mark.medium
def test_a_taught_run_is_resumed_without_its_options(run: Run, tiny: tuple[object, ...], data: Path) -> None:
    assert run("train", *taught(tiny, data), "--distill", "channels", *QUICK).code == 0

    outcome = run("train", "--resume", "run")

    assert outcome.code == 0, outcome.err
    assert outcome.json["epochs"] == 1


@pytest.mark.medium
def test_an_onnx_file_and_a_checkpoint_teach_together(run: Run, tiny: tuple[object, ...], data: Path) -> None:
    assert run("export", *tiny, "--format", "onnx", "--out", "teacher.onnx").code == 0
    assert run("convert", tiny[3], "teacher.safetensors", *tiny[:2]).code == 0
    both = ("--teacher-weights", "teacher.onnx", "--teacher-weights", "teacher.safetensors")
    sparse = ("--sparsity", "auto")

    outcome = run("train", "--cfg", tiny[1], "--data", data, *both, "--distill", "kd3", *sparse, *QUICK)

    assert outcome.code == 0, outcome.err


def test_a_dry_run_shows_what_is_learnt(run: Run, tiny: tuple[object, ...], data: Path) -> None:
    outcome = run("train", *taught(tiny, data), "--distill", "kd2", "--distill-scale", "originals", "--dry-run")

    assert outcome.code == 0, outcome.err
    table = tomllib.loads(outcome.out)["distill"]
    assert (table["method"], table["scale"], table["teacher_weights"]) == ("kd2", "originals", [str(tiny[3])])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--distill", "kd1"), r"\[distill\] teacher_weights is missing"),
        (("--teacher-weights", "none.weights"), r"none\.weights: .*No such file"),
        (("--teacher-weights", "WEIGHTS"), r"teacher .*: only a \.safetensors brings its own network; add teacher_cfg"),
        (("--teacher-weights", "none.safetensors"), r"none\.safetensors"),
        (("--teacher-weights", "none.onnx"), r"none\.onnx: expected an ONNX file, found nothing"),
        (("--teacher-cfg", "yolov3-tiny"), r"teacher_cfg: expected one for each of 0 weights, found 1"),
        (("TEACHER", "--distill", "kd9"), r"distill\.method: expected"),
        (("TEACHER", "--distill-scale", "originals"), r"scale originals: expected one of kd1"),
        (("TEACHER", "--set", "distill.weights={boxs=1}"), r"found boxs"),
        (("TEACHER", "--set", "distill.temprature=2"), r"did you mean temperature"),
        (("TEACHER", "--set", "distill.teacher_cfg=['a.cfg', 'b.cfg']"), r"one for each of 1 weights, found 2"),
    ],
)
def test_a_teacher_that_cannot_teach_is_refused_before_anything_is_written(
    refused: Callable[..., str], tiny: tuple[object, ...], data: Path, arguments: tuple[object, ...], message: str
) -> None:
    meant = {"TEACHER": ("--teacher-cfg", tiny[1], "--teacher-weights", tiny[3]), "WEIGHTS": (tiny[3],)}
    words = [word for part in arguments for word in meant.get(part, (part,))]

    line = refused("train", "--cfg", tiny[1], "--data", data, *words)

    assert re.search(message, line), line
    assert not (data.parent.parent / "runs").exists()


def test_a_teacher_of_other_classes_is_refused(
    run: Run, refused: Callable[..., str], tiny: tuple[object, ...], data: Path
) -> None:
    three = data.with_name("three.yaml")
    three.write_text(data.read_text().replace("[round, square]", "[round, square, other]"))
    named = ("--teacher-cfg", tiny[1], "--teacher-weights", tiny[3])

    line = refused("train", "--cfg", tiny[1], "--data", three, *named)

    assert "expected the student's 3 classes, found 2; choose a teacher" in line


def test_a_teacher_of_other_names_is_refused(
    run: Run, refused: Callable[..., str], tiny: tuple[object, ...], data: Path
) -> None:
    names = data.with_name("other.names")
    names.write_text("square\nround\n")
    assert run("convert", tiny[3], "other.safetensors", *tiny[:2], "--names", names).code == 0

    line = refused("train", "--cfg", tiny[1], "--data", data, "--teacher-weights", "other.safetensors")

    assert "expected the student's classes (round, square), found square, round" in line


def test_a_teacher_without_a_common_stride_is_refused(
    refused: Callable[..., str], tiny: tuple[object, ...], data: Path
) -> None:
    coarse = data.with_name("coarse.cfg")
    coarse.write_text(Path(str(tiny[1])).read_text().replace("stride=2\npad=1", "stride=4\npad=1", 1))

    line = refused("train", "--cfg", coarse, "--data", data, "--teacher-cfg", tiny[1], "--teacher-weights", tiny[3])

    assert re.search("its heads have strides 2, the student's 4; choose one with a stride in common", line), line
