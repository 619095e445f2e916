"""One process of a training that torchrun starts: writes the losses and the first gradients' effect of every step.

    torchrun --nproc-per-node 2 two_processes.py FOLDER       two processes, a batch each
    python two_processes.py FOLDER                            one process, which accumulates the same two batches

Batch statistics are those of each batch in both, and the loss is normalised by batch, so that both learn the same.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from yoloslim.engine.processes import started_processes
from yoloslim.engine.settings import TrainSettings
from yoloslim.engine.task import Batch, Hooks, Task
from yoloslim.engine.train import train
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.losses.detection import LossTerms, detection_loss
from yoloslim.losses.settings import LossSettings
from yoloslim.nn.network import Network

STEPS, BATCH = 20, 3
BLOCK = "[convolutional]\nbatch_normalize=1\nfilters={}\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
CFG = (
    "[net]\nwidth=32\nheight=32\n"
    + BLOCK.format(8)
    + BLOCK.format(16)
    + "[convolutional]\nfilters=7\nactivation=linear\n[yolo]\nmask=0\nanchors=10,10\nclasses=2\n"
)


@dataclass(frozen=True)
class Noise:
    images: Tensor
    targets: Tensor
    unlabelled: Tensor


def noise(number: int) -> Noise:
    generator = torch.Generator().manual_seed(number)
    images = torch.randint(0, 256, (BATCH, 3, 32, 32), generator=generator, dtype=torch.uint8)
    count = number % 4 + 1  # another number of objects in every batch
    targets = torch.rand(count, 6, generator=generator) * 0.3 + 0.2
    targets[:, 0] = torch.arange(count) % BATCH
    targets[:, 1] = torch.arange(count) % 2
    return Noise(images, targets, torch.zeros(BATCH, 2, dtype=torch.bool))


def main(folder: Path) -> None:
    processes = started_processes()
    mine = range(2 * STEPS) if processes.count == 1 else range(processes.rank, 2 * STEPS, 2)
    torch.manual_seed(0)
    network = Network(parse_cfg(CFG))
    yolos = [yolo for _, yolo in network.graph.heads]
    losses: list[float] = []
    weights: list[list[float]] = []

    def batches(epoch: int, first: int) -> Iterator[Batch]:
        return (noise(number) for number in mine[first:])

    def loss(head_maps: list[Tensor], batch: Batch, progress: float) -> LossTerms:
        terms = detection_loss(head_maps, batch.targets, yolos, (32, 32), LossSettings())
        losses.append(float(terms.total.detach()))
        return terms

    def after_step(done: int, rate: float) -> None:
        weights.append(torch.cat([p.detach().flatten() for p in network.parameters()]).tolist())

    accumulate = BATCH * 2 if processes.count == 1 else 0
    settings = TrainSettings(1, batch=BATCH, accumulate_to=accumulate, momentum=0.0, weight_decay=0.0, warmup=0.0)
    task = Task(batches, len(mine), loss, None, lambda made, path: None, folder / str(processes.count))  # type: ignore[arg-type]
    rows = train(network, task, settings, device="cpu", hooks=Hooks(after_step=after_step)).rows
    report = {"losses": losses, "weights": weights, "row": rows[0]}
    (folder / f"{processes.count}-{processes.rank}.json").write_text(json.dumps(report))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
