"""How much of a training step the loss takes, target assignment and its gradient included.

    python benchmarks/loss.py

YOLOv3-tiny, 80 classes, 416 pixels, batch 8, two threads, SGD, memory laid out as in training. Each loss is measured in
the step that it is part of, with 100 and 1,000 boxes in the batch; figures are those of the fastest of the steps, the
one that other work on the machine disturbed least. Ends with 1 where the default takes more than 1 %; writes
``benchmarks/results/loss.json``.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))
from environment import machine, versions

from yoloslim.engine.allocator import keep_large_blocks
from yoloslim.engine.optimizer import make_optimizer
from yoloslim.engine.settings import TrainSettings
from yoloslim.losses.detection import detection_loss
from yoloslim.losses.settings import LossSettings
from yoloslim.nn.network import Network
from yoloslim.zoo.catalog import find

ROOT = Path(__file__).resolve().parent.parent
SIZE, BATCH, THREADS = 416, 8, 2
WARM_UP, STEPS = 3, 15
MOST_PERCENT = 1.0
LOSSES = {
    "default": LossSettings(),
    "best": LossSettings(assignment="best", ignore_threshold=0.7),
    "threshold": LossSettings(assignment="threshold"),
    "focal": LossSettings(objectness_gamma=2.0, class_gamma=2.0),
}


@dataclass(frozen=True)
class Timing:
    """Seconds of one step, and of the loss and its gradient in it."""

    step: float
    loss: float


def main() -> int:
    """Measures, prints and stores the figures, and gives the exit code."""
    torch.set_num_threads(THREADS)
    keep_large_blocks()
    network = Network(find("yolov3-tiny")).to(memory_format=torch.channels_last).train()
    optimizer = make_optimizer(network, TrainSettings(1))
    rows = []
    for boxes in (100, 1000):
        targets = random_targets(boxes)
        for name, settings in LOSSES.items():
            timings = [step(network, optimizer, targets, settings) for _ in range(WARM_UP + STEPS)][WARM_UP:]
            best = min(timings, key=lambda timing: timing.step)
            times = {"step_ms": round(1000 * best.step, 1), "loss_ms": round(1000 * best.loss, 2)}
            rows.append({"loss": name, "boxes": boxes, **times, "percent": round(100 * best.loss / best.step, 2)})
            print(rows[-1], flush=True)
    about = {"network": "yolov3-tiny", "size": SIZE, "batch": BATCH, "threads": THREADS, "steps": STEPS}
    record = {**about, "machine": machine(), "versions": versions(), "rows": rows}
    (ROOT / "benchmarks" / "results" / "loss.json").write_text(json.dumps(record, indent=1) + "\n")
    return int(any(row["percent"] > MOST_PERCENT for row in rows if row["loss"] == "default"))


def random_targets(boxes: int) -> Tensor:
    """Gives boxes spread over the pictures of a batch, sides from 2 to 27 % of the picture."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.rand(boxes, 6, generator=generator)
    targets[:, 0] = torch.arange(boxes) % BATCH
    targets[:, 1] = torch.randint(0, 80, (boxes,), generator=generator)
    targets[:, 4:] = targets[:, 4:] * 0.25 + 0.02
    return targets


def step(network: Network, optimizer: torch.optim.Optimizer, targets: Tensor, settings: LossSettings) -> Timing:
    """Does one step as training does, stopping the time around the loss."""
    images = torch.rand(BATCH, 3, SIZE, SIZE).to(memory_format=torch.channels_last)
    yolos = [yolo for _, yolo in network.graph.heads]
    start = time.perf_counter()
    head_maps = network(images)
    leaves = [head_map.detach().requires_grad_() for head_map in head_maps]
    before = time.perf_counter()
    detection_loss(leaves, targets, yolos, (SIZE, SIZE), settings).total.backward()
    after = time.perf_counter()
    torch.autograd.backward(head_maps, [leaf.grad for leaf in leaves])
    optimizer.step()
    optimizer.zero_grad()
    return Timing(time.perf_counter() - start, after - before)


if __name__ == "__main__":
    sys.exit(main())
