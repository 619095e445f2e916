"""``train.py``: every flag becomes the option or the key that means it, and what differs is said."""

import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from yoloslim.compat.train import train
from yoloslim.errors import RecipeError

BASE = "--data my.data --cfg yolov3-tiny.cfg "
Meant = Callable[..., Any]


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        ("", {"--data": ["my.data"], "--cfg": ["yolov3-tiny"], "--epochs": ["300"]}),
        ("-pt --weights my.weights", {"--weights": ["my.weights"]}),
        ("--pretrain --weights my.weights", {"--weights": ["my.weights"]}),
        ("--img-size 320", {"--size": ["320"]}),
        ("--img_size 320", {"--size": ["320"]}),
        ("--img-size 320 320", {"--size": ["320"]}),
        ("--img-size 320 320 416", {"--size": ["320"]}),
        ("--img-size 320 640", {"--size": ["480"], "--set": ["data.loader.multi_scale=0.333"]}),
        ("--img-size 320 640 416", {"--size": ["480"], "--set": ["data.loader.multi_scale=0.333"]}),
        ("--img-size 416 --multi-scale", {"--size": ["416"], "--set": ["data.loader.multi_scale=0.5"]}),
        ("--batch-size 32 --epochs 7", {"--batch": ["32"], "--epochs": ["7"]}),
        ("-sr --s 0.002 --prune 0", {"--sparsity": ["0.002"], "--penalty": ["normal"]}),
        ("--s 0.001 --prune 1", {"--sparsity": ["0.001"], "--penalty": ["shortcut"]}),
        ("-sr --prune 2", {"--sparsity": ["0.001"], "--penalty": ["layer"]}),
        ("-sr", {"--sparsity": ["0.001"], "--penalty": ["normal"]}),
        ("-sr --s 0", {}),
        ("--epochs 0", {"--epochs": ["0"]}),
        ("--quantized 1", {"--quantize": ["google"], "--weight-bits": ["8"], "--activation-bits": ["8"]}),
        ("--quantized 2", {"--quantize": ["dorefa"], "--weight-bits": ["8"], "--activation-bits": ["8"]}),
        ("--quantized 3", {"--quantize": ["google"]}),
        ("--quantized 1 --a-bit 4 --w-bit 5", {"--weight-bits": ["5"], "--activation-bits": ["4"]}),
        ("--quantized 1 --BN_Flod", {"--quantize": ["google"], "--fold-bn": []}),
        ("--quantized 2 --BN_Fold", {"--quantize": ["dorefa"], "--fold-bn": []}),
        ("--FPGA", {"--quantize": ["google"], "--power-of-two": [], "--for": ["fpga"]}),
        ("--t_cfg t.cfg --t_weights t.weights --KDstr 4", {"--distill": ["kd4"], "--teacher-weights": ["t.weights"]}),
        ("--t_cfg yolov3.cfg --t_weights t.weights", {"--distill": ["kd1"], "--teacher-cfg": ["yolov3"]}),
        ("--rect", {"--set": ["data.loader.shape=rect"]}),
        ("--notest --epochs 9", {"--set": ["train.eval_every=9"]}),
        ("--adam", {"--set": ["train.optimizer=adam"]}),
        ("-mpt --device cpu", {"--set": ["train.precision=bf16-mixed"], "--device": ["cpu"]}),
        ("--mixedprecision --device cpu", {"--set": ["train.precision=bf16-mixed"]}),
        ("--device 1", {"--device": ["cuda:1"]}),
        ("--device 0,1", {"--device": ["cuda:0"]}),
        ("--name hands", {"--out": ["runs/train/hands-001"]}),
        ("--local_rank 0 --ema --nosave --bucket b --shortcut_way 1", {}),
        ("--rank 0", {}),
    ],
)
def test_a_flag_becomes_what_it_means(folder: Path, meant: Meant, flags: str, options: dict[str, list[str]]) -> None:
    (folder / "t.cfg").write_text("")
    found = meant(train, BASE + flags)

    assert [name for name, _ in found.commands] == ["train"]
    assert {key: found.options.get(key) for key in options} == options


@pytest.mark.parametrize(
    "flags",
    [
        "--local_rank 0",
        "--ema",
        "--nosave",
        "--bucket b",
        "--shortcut_way 1",
        "-pt",
        "--KDstr -1",
        "--prune -1",
        "-sr --s 0",
    ],
)
def test_a_flag_without_effect_changes_nothing(meant: Meant, flags: str) -> None:
    assert meant(train, BASE + flags).commands == meant(train, BASE).commands


@pytest.mark.parametrize(
    ("flags", "note"),
    [
        ("--s 0.001 --prune 0", "--s and --prune without -sr: sparse training, as the second document has it"),
        ("-sr", "-sr without --prune: the sparsity of normal pruning"),
        ("--quantized 3", "--quantized 3: google, as the documents' example has it"),
        ("--BN_Flod", "--quantized 1 is meant"),
        ("--t_cfg yolov3.cfg --t_weights t.weights", "--t_weights without --KDstr: --KDstr 1"),
        ("--img-size 320 640", "--img-size 320 640: trained at sizes from the first to the second"),
        ("--device 0,1", "cuda:0 alone is used; torchrun"),
        ("--nosave", "--nosave has no effect"),
        ("--shortcut_way 2", "--shortcut_way has no effect"),
        ("--bucket mine", "--bucket has no effect"),
        ("-pt", "-pt without --weights"),
    ],
)
def test_what_differs_is_said(meant: Meant, flags: str, note: str) -> None:
    assert note in meant(train, BASE + flags).notes


@pytest.mark.parametrize(
    "flags", ["", "-sr --s 0.1 --prune 1", "--quantized 1 --FPGA", "--t_weights t.weights --KDstr 2", "--img-size 320"]
)
def test_what_does_not_differ_is_not_commented(meant: Meant, flags: str) -> None:
    assert meant(train, BASE + flags).notes == meant(train, BASE).notes


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--KDstr 3", "need a teacher: add --t_weights"),
        ("--t_cfg yolov3.cfg", "need a teacher: add --t_weights"),
        ("--img-size 640 320", "expected the smaller size first"),
        ("--img-size 1 2 3 4", "expected one to three numbers"),
        ("--prune 3", "invalid choice"),
        ("--quantized 4", "invalid choice"),
        ("-mas", "--maxabsscaler: networks here read pictures in 0..1"),
        ("--resume", "--resume: expected the folder of a training in runs/train, found none"),
        ("--wieghts my.weights", "train.py: unknown flag --wieghts; did you mean --weights?"),
        ("--quantised=1", "train.py: unknown flag --quantised; did you mean --quantized?"),
        ("my.weights", "train.py: my.weights belongs to no flag"),
        ("--epochs many", "train.py: argument --epochs: invalid int value"),
    ],
)
def test_what_cannot_be_meant_is_refused(meant: Meant, flags: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        meant(train, BASE + flags)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_evolve_is_a_search_with_the_same_settings(folder: Path, meant: Meant) -> None:
    found = meant(train, BASE + "--evolve --epochs 3 --batch-size 4 -sr --rect --device cpu")

    assert found.commands == [("tune", {"": ["runs/compat/yolov3-tiny-my.toml"]})]
    recipe = tomllib.loads((folder / "runs" / "compat" / "yolov3-tiny-my.toml").read_text())
    assert recipe == {
        "model": {"cfg": "yolov3-tiny"},
        "data": {"data": "my.data", "loader": {"shape": "rect"}},
        "train": {"epochs": 3, "batch": 4},
        "sparsity": {"strength": 0.001, "penalty": "normal"},
        "device": "cpu",
    }


def test_resume_goes_on_with_the_latest_training(folder: Path, meant: Meant) -> None:
    for age, name in ((10, "new"), (20, "old")):
        state = folder / "runs" / "train" / name / "state.safetensors"
        state.parent.mkdir(parents=True)
        state.write_bytes(b"")
        os.utime(state, (1e9 - age, 1e9 - age))

    found = meant(train, BASE + "--resume --epochs 3")

    assert found.commands == [("train", {"--resume": ["runs/train/new"]})]
    assert "the other flags are not read" in found.notes


def test_several_processes_work_in_one_folder(meant: Meant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")

    assert meant(train, BASE).options["--out"] == ["runs/train/processes"]


def test_what_was_trained_lies_where_theirs_did_under_the_name_of_the_run(folder: Path) -> None:
    for name in ("last", "best"):
        (folder / f"{name}.safetensors").write_text(name)
    given = train.flags.read(["--name", "hands"])

    told = list(train.finish(given, [{"run": "."}]))

    assert told == ["wrote weights/last_hands.safetensors", "wrote weights/best_hands.safetensors"]
    assert (folder / "weights" / "last_hands.safetensors").read_text() == "last"


def test_a_teacher_that_brings_its_network_needs_no_cfg(folder: Path, meant: Meant) -> None:
    (folder / "t.safetensors").write_bytes(b"")

    found = meant(train, BASE + "--t_cfg yolov3.cfg --t_weights t.pt --KDstr 1")

    assert found.options["--teacher-weights"] == ["t.safetensors"]
    assert "--teacher-cfg" not in found.options


def test_one_channel_is_written_into_the_cfg(folder: Path, meant: Meant) -> None:
    found = meant(train, BASE + "--gray-scale")

    assert found.options["--cfg"] == ["runs/compat/yolov3-tiny-gray.cfg"]
    assert "channels=1\n" in (folder / "runs" / "compat" / "yolov3-tiny-gray.cfg").read_text()
