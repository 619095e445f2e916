"""Every command line of the two documents behind this project, run as it stands there, its dots filled in."""

import json
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.nn.network import Network
from yoloslim.runtime.load import Model
from yoloslim.runtime.save import save_all

ROOT = Path(__file__).resolve().parents[2]

FIRST = """
python3 train.py --data ... --cfg ...
python3 test.py --data ... --cfg ...
python3 detect.py --data ... --cfg ... --source ...
python3 train.py --data ... -pt --batch-size ... --weights ... --cfg ...
python3 train.py --data ... -pt --batch-size 32  --weights ... --cfg ... -sr --s 0.001 --prune 0
python3 normal_prune.py --cfg ... --data ... --weights ... --percent ...
python3 regular_prune.py --cfg ... --data ... --weights ... --percent ...
python3 shortcut_prune.py --cfg ... --data ... --weights ... --percent ...
python3 slim_prune.py --cfg ... --data ... --weights ... --percent ...
python3 layer_prune.py --cfg ... --data ... --weights ... --shortcut ...
python3 layer_channel_prune.py --cfg ... --data ... --weights ... --shortcut ... --percent ...
python train.py --data ... --batch-size ... --weights ... --cfg ... --img-size ... --epochs ... --quantized 2
python train.py --data ... --batch-size ... --weights ... --cfg ... --img-size ... --epochs ... --quantized 3
python train.py --data ... --batch-size ... --weights ... --cfg ... --img-size ... --epochs ... --t_cfg ... --t_weights ...
"""  # noqa: E501
SECOND = """
python3 train.py --data ...  --cfg ...  -pt  --weights ...  --img_size ... --batch-size ... --epochs  ...
python3 train.py --data ... --s 0.001 --prune 0  -pt --weights ... --cfg ... --img_size ...  --batch-size 32  --epochs ...
python3 train.py --data ... --s 0.001 --prune 0  -pt --weights ... --cfg ... --img_size ...  --batch-size 32  --epochs ...
python3 test.py --data ... --cfg ...
python3 detect.py --data ... --cfg ... --source ...
python3 normal(or regular/shortcut/slim)_prune.py --cfg ... --data ... --weights ... --percent ...
python3 layer_prune.py --cfg ... --data ... --weights ... --shortcut ...
python3 layer_channel_prune.py --cfg ... --data ... --weights ... --shortcut ... --percent ...
python train.py --data ... --batch-size ... --weights ... --cfg ... --img-size ... --epochs ... --t_cfg ... --t_weights ...
python train.py --data ... --batch-size ... --weights ... --cfg ... --img-size ... --epochs ... --quantized 2
python train.py --data ... --batch-size ... --weights ... --cfg ... --img-size ... --epochs ... --quantized 3
"""  # noqa: E501
KINDS = """
python3 train.py --data ... -pt --batch-size 32 --weights ... --cfg ... -sr --s 0.001 --prune 1
python3 train.py --data ... -pt --batch-size 32 --weights ... --cfg ... -sr --s 0.001 --prune 2
python train.py --data ... --batch-size ... --weights ... --cfg ... --epochs ... --quantized 1
python train.py --data ... --batch-size ... --weights ... --cfg ... --epochs ... --quantized 1 --BN_Flod
python train.py --data ... --batch-size ... --weights ... --cfg ... --epochs ... --quantized 1 --BN_Flod --FPGA
python train.py --data ... --weights ... --cfg ... --epochs ... --t_cfg ... --t_weights ... --KDstr 1
python train.py --data ... --weights ... --cfg ... --epochs ... --t_cfg ... --t_weights ... --KDstr 2
python train.py --data ... --weights ... --cfg ... --epochs ... --t_cfg ... --t_weights ... --KDstr 3
python train.py --data ... --weights ... --cfg ... --epochs ... --t_cfg ... --t_weights ... --KDstr 4
python train.py --data ... --weights ... --cfg ... --epochs ... --t_cfg ... --t_weights ... --KDstr 5
python3 detect.py --data ... --cfg ...
"""
"""What the documents' words say beside their command lines."""

BESIDE = """
python3 scripts/EagleEye_normal_prune.py --cfg ... --data ... --weights ... --percent ... --delta 0.05 --number 2
python3 scripts/EagleEye_regular_prune.py --cfg ... --data ... --weights ... --percent ... --delta 0.05 --number 2
python3 scripts/EagleEye_slim_prune.py --cfg ... --data ... --weights ... --percent ... --delta 0.05 --number 2
python3 scripts/layer_channel_regular_prune.py --cfg ... --data ... --weights ... --shortcut ... --percent ...
python3 scripts/PTQ.py --cfg ... --data ... --weights ... --img-size ... --batch-size ... --subset_len ...
python3 scripts/PTQ.py --cfg ... --data ... --weights ... --img-size ... --quantized 1 --a-bit 8 --w-bit 8
python3 scripts/PTQ.py --cfg ... --data ... --weights ... --img-size ... --quantized 2
python3 scripts/convert.py --cfg ... --weights ...
python3 scripts/info.py --cfg ... --img-size ...
"""
"""What the first project's code had besides."""

DOTS = {
    "--data": "data/hand.data",
    "--cfg": "cfg/mini/mini.cfg",
    "--weights": "weights/mini.weights",
    "--source": "data/images/val",
    "--batch-size": "4",
    "--img-size": "64",
    "--img_size": "64",
    "--epochs": "1",
    "--percent": "0.3",
    "--shortcut": "1",
    "--subset_len": "4",
    "--t_cfg": "cfg/mini/mini.cfg",
    "--t_weights": "weights/mini.weights",
}
"""What stands for the dots behind a flag."""

LEFT = {
    "train.py": ("weights/last.safetensors", "weights/best.safetensors"),
    "test.py": (),
    "detect.py": ("output",),
    "normal_prune.py": ("cfg/mini/normal_prune_0.3_mini.cfg", "weights/mini/normal_prune_0.3_percent.weights"),
    "regular_prune.py": ("cfg/mini/regular_prune_0.3_mini.cfg", "weights/mini/regular_prune_0.3_percent.weights"),
    "shortcut_prune.py": ("cfg/mini/shortcut_prune_0.3_mini.cfg", "weights/mini/shortcut_prune_0.3_percent.weights"),
    "slim_prune.py": ("cfg/mini/slim_prune_0.3_mini.cfg", "weights/mini/slim_prune_0.3_percent.weights"),
    "layer_prune.py": ("cfg/mini/layer_prune_1_mini.cfg", "weights/mini/layer_prune_1_shortcuts.weights"),
    "layer_channel_prune.py": (
        "cfg/mini/layer_channel_prune_0.3_1_mini.cfg",
        "weights/mini/layer_channel_prune_0.3_percent_1_shortcuts.weights",
    ),
}
"""What a script of the documents leaves behind."""

LEFT_BESIDE = {
    "scripts/EagleEye_normal_prune.py": ("weights/mini/EagleEye_normal_prune_0.3_percent.weights",),
    "scripts/EagleEye_regular_prune.py": ("weights/mini/EagleEye_regular_prune_0.3_percent.weights",),
    "scripts/EagleEye_slim_prune.py": ("weights/mini/EagleEye_slim_prune_0.3_percent.weights",),
    "scripts/layer_channel_regular_prune.py": (
        "weights/mini/layer_channel_regular_prune_0.3_percent_1_shortcuts.weights",
    ),
    "scripts/PTQ.py": ("runs/quantize/mini-quantized-001/mini-quantized.safetensors",),
    "scripts/convert.py": ("weights/mini.safetensors",),
    "scripts/info.py": (),
}
"""What one beside them leaves behind."""

CONV = "[convolutional]\nbatch_normalize=1\nfilters={}\nsize={}\nstride={}\npad=1\nactivation=leaky\n"
BLOCK = CONV.format(32, 1, 1) + CONV.format(64, 3, 1) + "[shortcut]\nfrom=-3\nactivation=linear\n"
CFG = (
    "[net]\nwidth=64\nheight=64\nchannels=3\n"
    + (CONV.format(32, 3, 2) + CONV.format(64, 3, 2) + 2 * BLOCK + CONV.format(64, 3, 2))
    + "[convolutional]\nfilters=12\nsize=1\nactivation=linear\n"
    + "[yolo]\nmask=0,1\nanchors=10,14, 23,27\nclasses=1\n"
)


def lines(document: str) -> list[str]:
    """The command lines of a document, each once; the one that stands for four is four."""
    every = "normal(or regular/shortcut/slim)_prune.py"
    kinds = ("normal", "regular", "shortcut", "slim")
    found = [line.replace(every, f"{kind}_prune.py") for line in document.splitlines() for kind in kinds]
    return [line for line in dict.fromkeys(found) if line]


COMMANDS = list(dict.fromkeys(" ".join(line.split()) for line in lines(FIRST + SECOND + KINDS + BESIDE)))


@pytest.fixture
def mini(folder: Path, miniature: Path) -> None:
    """A folder as a user of theirs has it: data, cfg and weights; test and detect find what a training left."""
    (folder / "cfg" / "mini").mkdir(parents=True)
    torch.manual_seed(0)
    network = Network(parse_cfg(CFG)).eval()
    for name, tensor in network.state_dict().items():
        if name.endswith(("norm.weight", "norm.running_var")):
            tensor.uniform_(0.1, 1.5)
    cfg, _, checkpoint = save_all(Model(network, ("hand",)), folder / "weights", "mini")
    cfg.replace(folder / "cfg" / "mini" / "mini.cfg")
    checkpoint.replace(folder / "weights" / "best.safetensors")


def filled(line: str) -> list[str]:
    """The words of a command line, its dots filled in; trainings take one epoch."""
    words = shlex.split(line)
    known = [DOTS[words[index - 1]] if word == "..." else word for index, word in enumerate(words)]
    return [*known, "--epochs", "1"] if known[1] == "train.py" and "--epochs" not in known else known


def test_all_command_lines_of_both_documents_are_here() -> None:
    assert (len(lines(FIRST)), len(lines(SECOND))) == (14, 13)  # one of theirs is there twice
    assert {line.split()[1] for line in COMMANDS} == (LEFT | LEFT_BESIDE).keys()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")  # torch, where one core is left for two
@pytest.mark.usefixtures("mini")
@pytest.mark.parametrize("line", COMMANDS, ids=lambda line: line.replace(" ...", ""))
def test_a_command_line_runs_to_its_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    _, script, *arguments = filled(line)
    monkeypatch.setattr(sys, "argv", [script, *arguments])

    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(ROOT / script), run_name="__main__")

    printed = capsys.readouterr()
    assert stopped.value.code == 0, printed.err
    assert "yoloslim " in printed.out
    assert [path for path in (LEFT | LEFT_BESIDE)[script] if not (folder / path).exists()] == []
    if script == "test.py":
        assert printed.out.splitlines()[-2].split() == ["Class", "Images", "Targets", "P", "R", "mAP@0.5", "F1"]
        assert printed.out.splitlines()[-1].split()[:3] == ["all", "8", "8"]


@pytest.mark.medium
@pytest.mark.usefixtures("mini")
def test_a_percent_that_is_too_high_is_refused_with_the_highest_that_works(folder: Path) -> None:
    flags = "--cfg cfg/mini/mini.cfg --data data/hand.data --weights weights/mini.weights --percent"

    refused = python("normal_prune.py", f"{flags} 0.99")
    works = refused.stderr.rpartition(" ")[2].strip()
    accepted = python("normal_prune.py", f"{flags} {works}")

    assert (refused.returncode, accepted.returncode) == (2, 0), refused.stderr
    assert refused.stderr.count("\n") == 1
    assert "percent 0.99 is too high for this network" in refused.stderr
    assert 0.3 < float(works) < 0.99
    assert not (folder / "cfg" / "mini" / "normal_prune_0.99_mini.cfg").exists()


@pytest.mark.medium
@pytest.mark.usefixtures("mini")
def test_the_samples_are_looked_at_where_no_source_is_given_and_boxes_are_text_too(folder: Path) -> None:
    run = python("detect.py", "--cfg cfg/mini/mini.cfg --data data/hand.data --save-txt --conf-thres 0.01")

    assert run.returncode == 0, run.stderr
    written = {path.suffix for path in (folder / "output").iterdir()}
    assert written == {".jpg", ".mp4", ".txt"}
    rows = np.loadtxt(folder / "output" / "00000.jpg.txt", ndmin=2)
    assert rows.shape[1] == 6
    assert ((rows[:, 5] >= 0.01) & (rows[:, 4] == 0)).all()


@pytest.mark.medium
@pytest.mark.usefixtures("mini")
def test_what_is_trained_for_an_fpga_is_written_for_one(folder: Path) -> None:
    model = "--cfg cfg/mini/mini.cfg --data data/hand.data --img-size 64"
    trained = python("train.py", f"{model} --weights weights/mini.weights --epochs 1 --quantized 1 --BN_Flod --FPGA")
    written = python("scripts/convert_FPGA.py", f"{model} --weights weights/best.safetensors --reorder --TN 8 --TM 16")

    assert (trained.returncode, written.returncode) == (0, 0), trained.stderr + written.stderr
    assert {"index.json", "network.h"} <= {path.name for path in (folder / "output" / "fpga").iterdir()}


@pytest.mark.parametrize("script", sorted(path.name for path in [*ROOT.glob("*.py"), *ROOT.glob("scripts/*.py")]))
def test_a_script_is_two_lines_and_does_nothing_where_it_is_imported(script: str) -> None:
    path = next(path for path in (ROOT / script, ROOT / "scripts" / script) if path.exists())

    assert len([line for line in path.read_text().splitlines() if line]) == 2
    runpy.run_path(str(path), run_name="imported")


def python(script: str, flags: str) -> subprocess.CompletedProcess[str]:
    """Runs a script as its users do."""
    command = [sys.executable, str(ROOT / script), *shlex.split(flags)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.medium
@pytest.mark.usefixtures("mini")
def test_a_checkpoint_of_theirs_is_tested(folder: Path) -> None:
    graph = parse_cfg(CFG)
    state = {theirs(name): tensor for name, tensor in Network(graph).state_dict().items()}
    torch.save({"epoch": -1, "best_fitness": np.float64(0.5), "model": state}, folder / "weights" / "old.pt")

    run = python("test.py", "--cfg cfg/mini/mini.cfg --data data/hand.data --weights weights/old.pt --save-json")

    assert run.returncode == 0, run.stderr
    assert "--weights weights/old.pt" in run.stdout
    assert json.loads((folder / "results.json").read_text())[0]["images"] == 8


def theirs(name: str) -> str:
    """Their name of a tensor: ``000_convolutional.conv.weight`` is ``module_list.0.Conv2d.weight``."""
    node, module, tensor = name.split(".")
    return f"module_list.{int(node[:3])}.{'Conv2d' if module == 'conv' else 'BatchNorm2d'}.{tensor}"
