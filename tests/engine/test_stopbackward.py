"""``stopbackward``: the layers that it excludes stay as they are, whichever way a gradient could reach them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from yoloslim.engine.settings import TrainSettings
from yoloslim.engine.task import Hooks, Task
from yoloslim.engine.train import train
from yoloslim.errors import CfgError
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.losses.detection import LossSettings, detection_loss
from yoloslim.nn.network import Network

CONV = "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\npad=1\nactivation=leaky\n"
HEAD = "[convolutional]\nfilters=7\nactivation=linear\n{last}[yolo]\nmask=0\nanchors=10,10\nclasses=2\n"
CFG = "[net]\nwidth=16\nheight=16\n" + CONV + CONV + "{stop}" + CONV + "[shortcut]\nfrom=0\n" + HEAD
"""The shortcut leads gradients around the second convolution to the first."""

SETTINGS = TrainSettings(epochs=1, batch=2, learning_rate=0.5, workers=0, seed=3)
STEPS = 4


@dataclass(frozen=True)
class Noise:
    """Pictures of noise with an object each."""

    images: Tensor
    targets: Tensor


def batches(epoch: int, first: int) -> Iterator[Noise]:
    generator = torch.Generator().manual_seed(epoch)
    for _ in range(STEPS):
        images = torch.randint(0, 256, (2, 3, 16, 16), generator=generator, dtype=torch.uint8)
        yield Noise(images, torch.tensor([[0, 0, 0.5, 0.5, 0.5, 0.5], [1, 1, 0.2, 0.3, 0.4, 0.4]]))


def changes(folder: Path, *, stop: str = "", last: str = "") -> list[set[str]]:
    """Trains, and gives for each step the tensors that it changed."""
    torch.manual_seed(0)
    network = Network(parse_cfg(CFG.format(stop=stop, last=last), "x.cfg"))
    yolos = [yolo for _, yolo in network.graph.heads]
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    found: list[set[str]] = []

    def compare(done: int, rate: float) -> None:
        state = network.state_dict()
        found.append({name for name in before if not torch.equal(before[name], state[name])})
        before.update({name: tensor.clone() for name, tensor in state.items()})

    def write(made: Network, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"checkpoint")

    def loss(head_maps, batch, progress):
        return detection_loss(head_maps, batch.targets, yolos, (16, 16), LossSettings())

    task = Task(batches, STEPS, loss, None, write, folder)
    train(network, task, SETTINGS, device="cpu", hooks=Hooks(after_step=compare))
    return found


def layers(names: set[str]) -> set[str]:
    return {name.partition("_")[0] for name in names}


def test_without_a_stop_every_layer_learns(tmp_path: Path) -> None:
    assert all(layers(step) == {"000", "001", "002", "004"} for step in changes(tmp_path))


def test_a_stop_holds_its_layer_and_all_before_it_even_around_it(tmp_path: Path) -> None:
    statistics = {"001_convolutional.norm.running_mean", "001_convolutional.norm.running_var"}

    for step in changes(tmp_path, stop="stopbackward=1\n"):
        assert {name for name in step if name < "002"} == statistics  # Darknet too measures the layer itself anew
        assert layers(step) == {"001", "002", "004"}


def test_a_stop_for_some_steps_ends_with_them(tmp_path: Path) -> None:
    first, second, third, fourth = changes(tmp_path, stop="stopbackward=2\n")

    for step in (first, second):
        assert {name for name in step if name < "002" and "running" not in name} == set()
        assert {name for name in step if "running" in name} == {name for name in fourth if "running" in name}
    for step in (third, fourth):
        assert {"000_convolutional.conv.weight", "001_convolutional.norm.weight"} <= step


def test_a_stop_that_leaves_nothing_to_learn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CfgError, match=r"x.cfg:\d+: \[convolutional\] stopbackward leaves no layer that learns"):
        changes(tmp_path, last="stopbackward=1\n")
