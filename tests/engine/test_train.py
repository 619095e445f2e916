"""The training loop: it learns, it can be stopped anywhere, and what it leaves is whole."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from yoloslim.engine.settings import Precision, TrainSettings
from yoloslim.engine.train import Hooks, Task, train
from yoloslim.errors import RecipeError, WeightsError
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.losses.detection import LossSettings, detection_loss
from yoloslim.nn.network import Network

CFG = """[net]
width=32
height=32
[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky
[dropout]
probability=.2
[convolutional]
batch_normalize=1
filters=16
size=3
stride=2
pad=1
activation=leaky
[convolutional]
filters=7
size=1
activation=linear
[yolo]
mask=0
anchors=10,10
classes=2
"""
GAUSSIAN = CFG.replace("filters=7", "filters=11").replace("[yolo]", "[Gaussian_yolo]")
BLOCK = "[convolutional]\nbatch_normalize=1\nfilters=16\nactivation=leaky\n"
JOINED = CFG.replace(
    "[convolutional]\nfilters=7",
    BLOCK
    + f"{BLOCK}share_index=-1\n"
    + "[shortcut]\nfrom=-2\nweights_type=per_channel\nweights_normalization=softmax\n"
    + "[sam]\nfrom=-1\n[dropout]\nprobability=.1\ndropblock=1\ndropblock_size_abs=2\n[convolutional]\nfilters=7",
)
"""With weights that are shared, a weighted shortcut, a product and blocks that are dropped."""

SETTINGS = TrainSettings(epochs=4, batch=4, learning_rate=0.5, workers=0, ema=0.9, seed=3)


@dataclass(frozen=True)
class Pictures:
    """One white square a picture, on black."""

    images: Tensor
    targets: Tensor


def batches(epoch: int) -> Iterator[Pictures]:
    generator = torch.Generator().manual_seed(epoch)
    for _ in range(5):
        corners = torch.randint(0, 22, (4, 2), generator=generator)
        images = torch.zeros(4, 3, 32, 32, dtype=torch.uint8)
        rows = []
        for index, (x, y) in enumerate(corners.tolist()):
            images[index, :, y : y + 10, x : x + 10] = 255
            rows.append([index, index % 2, (x + 5) / 32, (y + 5) / 32, 10 / 32, 10 / 32])
        yield Pictures(images, torch.tensor(rows))


def network(cfg: str = CFG) -> Network:
    torch.manual_seed(0)
    return Network(parse_cfg(cfg))


def task(folder: Path, cfg: str = CFG, **changes: object) -> Task:
    yolos = [yolo for _, yolo in network(cfg).graph.heads]

    def write(made: Network, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"checkpoint")

    def evaluate(made: Network) -> Mapping[str, float]:
        assert not made.training
        return {"map50": 0.5, "map": 0.25, "precision": 0.5, "recall": 0.5, "f1": 0.5}

    made = Task(batches, 5, lambda h, t: detection_loss(h, t, yolos, (32, 32), LossSettings()), evaluate, write, folder)
    return replace(made, **changes)


class Stopped(Exception):
    """Stands for a user who interrupts."""


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_boxes_come_to_fit(tmp_path: Path, precision: Precision) -> None:
    settings = replace(SETTINGS, epochs=12, learning_rate=0.3, precision=precision)

    rows = train(network(), task(tmp_path, evaluate=None), settings, device="cpu").rows

    assert [row["epoch"] for row in rows] == list(range(1, 13))
    assert rows[-1]["box"] < 0.7 * rows[0]["box"]


@pytest.mark.parametrize("cfg", [GAUSSIAN, JOINED], ids=["a Gaussian head", "weighted and shared"])
def test_networks_of_darknets_layers_learn(cfg: str, tmp_path: Path) -> None:
    settings = replace(SETTINGS, epochs=12, learning_rate=0.3)

    rows = train(network(cfg), task(tmp_path, cfg, evaluate=None), settings, device="cpu").rows

    assert rows[-1]["box"] < 0.7 * rows[0]["box"]


def test_an_interrupted_training_ends_where_an_uninterrupted_one_does(tmp_path: Path) -> None:
    whole = train(network(), task(tmp_path / "whole"), SETTINGS, device="cpu")

    def stop(epoch: int, done: int, count: int) -> None:
        if (epoch, done) == (2, 3):
            raise Stopped

    with pytest.raises(Stopped):
        train(network(), task(tmp_path / "part"), SETTINGS, device="cpu", hooks=Hooks(on_batch=stop))
    resumed = train(network(), task(tmp_path / "part"), SETTINGS, device="cpu")

    for name, tensor in whole.network.state_dict().items():
        torch.testing.assert_close(resumed.network.state_dict()[name], tensor, rtol=0, atol=0, msg=name)
    assert [row["loss"] for row in resumed.rows] == [row["loss"] for row in whole.rows]


def test_a_finished_training_is_not_done_again(tmp_path: Path) -> None:
    first = train(network(), task(tmp_path), SETTINGS, device="cpu")

    def fail(epoch: int) -> Iterator[Pictures]:
        raise AssertionError("asked for pictures")

    again = train(network(), task(tmp_path, batches=fail), SETTINGS, device="cpu")

    assert again.rows == first.rows


def test_the_folder_holds_results_plots_and_checkpoints(tmp_path: Path) -> None:
    train(network(), task(tmp_path), replace(SETTINGS, epochs=2, eval_every=2), device="cpu")

    with (tmp_path / "results.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["map50"] for row in table] == ["", "0.5"]  # evaluated every second epoch
    assert len(json.loads((tmp_path / "results.json").read_text())) == 2
    for name in ("last.safetensors", "best.safetensors", "state.safetensors", "plots/losses.png", "plots/accuracy.png"):
        assert (tmp_path / name).stat().st_size > 0, name
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_the_state_of_another_training_is_refused(tmp_path: Path) -> None:
    train(network(), task(tmp_path, identity="one"), replace(SETTINGS, epochs=1), device="cpu")

    with pytest.raises(RecipeError, match="holds the state of another training"):
        train(network(), task(tmp_path, identity="two"), replace(SETTINGS, epochs=1), device="cpu")


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.safetensors").write_bytes(b"half a file")

    with pytest.raises(WeightsError, match=r"state\.safetensors: expected the state of a training"):
        train(network(), task(tmp_path), SETTINGS, device="cpu")


def test_a_loss_that_is_not_finite_stops_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"the loss is not finite at epoch \d, step \d+ .*lower train.learning_rate"):
        train(network(), task(tmp_path), replace(SETTINGS, learning_rate=1e12, gradient_clip=0.0), device="cpu")


def test_hooks_see_every_step_and_add_columns(tmp_path: Path) -> None:
    steps: list[tuple[int, float]] = []
    batches_done: list[tuple[int, int, int]] = []
    hooks = Hooks(
        after_step=lambda done, rate: steps.append((done, rate)),
        after_epoch=lambda: {"extra": 7.0},
        on_batch=lambda epoch, done, count: batches_done.append((epoch, done, count)),
    )

    rows = train(network(), task(tmp_path), replace(SETTINGS, epochs=1), device="cpu", hooks=hooks).rows

    assert [done for done, _ in steps] == [1, 2, 3, 4, 5]
    assert min(rate for _, rate in steps) > 0
    assert batches_done == [(0, done, 5) for done in range(1, 6)]
    assert rows[0]["extra"] == 7.0


def test_what_a_hook_does_to_the_average_is_what_training_gives(tmp_path: Path) -> None:
    def empty(made: Network, done: int) -> None:
        assert done == 5
        with torch.no_grad():
            made.get_parameter("000_convolutional.norm.weight").zero_()

    trained = train(network(), task(tmp_path), replace(SETTINGS, epochs=1), device="cpu", hooks=Hooks(on_average=empty))

    assert not trained.network.get_parameter("000_convolutional.norm.weight").any()
