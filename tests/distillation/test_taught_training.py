"""A training with a teacher: adapters learn, are kept in the state, and are no part of what is written."""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from yoloslim.compress.distillation.distiller import Distiller
from yoloslim.compress.distillation.methods import weighted_terms
from yoloslim.compress.distillation.teacher import NetworkTeacher
from yoloslim.engine.settings import TrainSettings
from yoloslim.engine.task import Batch, Hooks, Task
from yoloslim.engine.train import train
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.losses.detection import LossTerms, detection_loss
from yoloslim.losses.settings import LossSettings
from yoloslim.nn.network import Network

CFG = """[net]
width=32
height=32
[convolutional]
batch_normalize=1
filters={}
size=3
stride=4
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
SETTINGS = TrainSettings(epochs=2, batch=4, learning_rate=0.1, workers=0, save_every=1)
LABELS = torch.zeros(4, 2, dtype=torch.bool)


class Pictures(NamedTuple):
    images: Tensor
    targets: Tensor
    unlabelled: Tensor = LABELS


def network(width: int, seed: int) -> Network:
    torch.manual_seed(seed)
    return Network(parse_cfg(CFG.format(width)))


def batches(epoch: int, first: int) -> Iterator[Pictures]:
    generator = torch.Generator().manual_seed(epoch)
    made = [
        Pictures(
            torch.randint(0, 256, (4, 3, 32, 32), generator=generator, dtype=torch.uint8),
            torch.cat([torch.arange(4.0)[:, None], torch.zeros(4, 1), torch.full((4, 4), 0.4)], 1),
        )
        for _ in range(3)
    ]
    return islice(iter(made), first, None)


def task(folder: Path, student: Network) -> Task:
    yolos = [yolo for _, yolo in student.graph.heads]

    def loss(head_maps: Sequence[Tensor], batch: Batch, progress: float) -> LossTerms:
        return detection_loss(head_maps, batch.targets, yolos, (32, 32), LossSettings())

    def write(made: Network, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(list(made.state_dict())))

    torch.manual_seed(5)
    terms = weighted_terms("channels", "mean", {"attention": 1.0}, 0.0)
    distiller = Distiller(student.graph, [NetworkTeacher("t", network(10, 1))], terms, 0.2)
    return Task(batches, 3, loss, None, write, folder, extra=distiller)


class Stopped(Exception):
    """Stands for a user who interrupts."""


@pytest.mark.parametrize("at", [(0, 2), (1, 1)])
def test_a_taught_training_that_was_interrupted_ends_the_same(tmp_path: Path, at: tuple[int, int]) -> None:
    def stop(epoch: int, done: int, count: int) -> None:
        if (epoch, done) == at:
            raise Stopped

    for folder, hooks in (("whole", Hooks()), ("part", Hooks(on_batch=stop))):
        student = network(6, 0)
        try:
            train(student, task(tmp_path / folder, student), SETTINGS, device="cpu", hooks=hooks)
        except Stopped:
            student = network(6, 0)
            train(student, task(tmp_path / folder, student), SETTINGS, device="cpu")

    whole, part = (load_file(tmp_path / folder / "state.safetensors") for folder in ("whole", "part"))
    assert whole.keys() == part.keys()
    assert [name for name, tensor in whole.items() if not torch.equal(tensor, part[name])] == []
    assert any(name.startswith("optimizer/probes.channels_0_0") for name in whole)


def test_adapters_learn_and_are_no_part_of_the_network(tmp_path: Path) -> None:
    student = network(6, 0)
    job = task(tmp_path, student)
    before = adapter(job).clone()

    trained = train(student, job, SETTINGS, device="cpu")

    assert not torch.equal(adapter(job), before)
    assert trained.network.state_dict().keys() == network(6, 0).state_dict().keys()
    assert json.loads((tmp_path / "last.safetensors").read_text()) == list(trained.network.state_dict())
    assert {"distill_channels", "distill_attention"} <= trained.rows[-1].keys()


def adapter(job: Task) -> Tensor:
    """The weights of the adapter as they are now."""
    return job.extra.probes["channels_0_0"].module.weight.detach()
