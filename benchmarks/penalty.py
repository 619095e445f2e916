"""What the penalty of sparse training adds to a training step.

    python benchmarks/penalty.py [NETWORK ...]

Steps (forward, loss, backward, update, moving average) of each network with no penalty and with each of its kinds take
turns, so that a slow moment of the machine meets all of them; 416 pixels, batch 8, two threads. The penalty's share is
its own time over that of the step without it, in the median of the steps. Ends with 1 where a share is over 3 %; writes
``benchmarks/results/penalty.json``.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from environment import machine, versions

from yoloslim.compress.sparsity.movement import FirstSteps
from yoloslim.compress.sparsity.penalty import GammaPenalty
from yoloslim.compress.sparsity.schedule import SCHEDULES
from yoloslim.engine.allocator import keep_large_blocks
from yoloslim.engine.optimizer import MovingAverage, make_optimizer
from yoloslim.engine.settings import TrainSettings
from yoloslim.losses.detection import detection_loss
from yoloslim.losses.settings import LossSettings
from yoloslim.nn.network import Network
from yoloslim.recipes.sparsity import penalised_channels
from yoloslim.zoo.catalog import find

ROOT = Path(__file__).resolve().parent.parent
NETWORKS = ("yolov3-tiny", "yolov4-tiny", "yolov3tiny-mobilenetv3-small")
SIZE, BATCH, BOXES, THREADS = 416, 8, 64, 2
WARM_UP, STEPS = 2, 10
MOST_PERCENT = 3.0
RATE, STRENGTH = 0.01, 0.001


class Step:
    """One training step of a network, with a penalty or without."""

    def __init__(self, name: str) -> None:
        self.network = Network(find(name)).to(memory_format=torch.channels_last).train()
        self.optimizer = make_optimizer(self.network, TrainSettings(1))
        self.average = MovingAverage(self.network, 0.998)
        channels = penalised_channels(self.network.graph, "shortcut")
        made = {name: GammaPenalty(self.network, channels, STRENGTH, each) for name, each in SCHEDULES.items()}
        self.penalties: dict[str, GammaPenalty | None] = {"none": None, **made}
        self.targets = torch.rand(BOXES, 6, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.2
        self.targets[:, 0] = torch.arange(BOXES) % BATCH
        self.targets[:, 1] = torch.arange(BOXES) % 80

    def seconds(self, kind: str) -> tuple[float, float]:
        """Takes a step, and gives the time of all of it and of the penalty."""
        penalty, first = self.penalties[kind], FirstSteps(0.0, 1_000_000)
        images = torch.rand(BATCH, 3, SIZE, SIZE).to(memory_format=torch.channels_last)
        yolos = [yolo for _, yolo in self.network.graph.heads]
        start = time.perf_counter()
        detection_loss(self.network(images), self.targets, yolos, (SIZE, SIZE), LossSettings()).total.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        before = time.perf_counter()
        if penalty is not None:
            first.look(penalty.step(RATE, progress=0.75), RATE, STRENGTH)
        after = time.perf_counter()
        self.average.update(self.network)
        return time.perf_counter() - start, after - before


def main() -> int:
    """Measures, prints and stores the figures, and gives the exit code."""
    torch.set_num_threads(THREADS)
    keep_large_blocks()
    rows = [row for name in sys.argv[1:] or NETWORKS for row in compared(name)]
    about = {"size": SIZE, "batch": BATCH, "threads": THREADS, "steps": STEPS}
    record = {**about, "machine": machine(), "versions": versions(), "rows": rows}
    (ROOT / "benchmarks" / "results" / "penalty.json").write_text(json.dumps(record, indent=1) + "\n")
    return int(any(row["percent"] > MOST_PERCENT for row in rows))


def compared(name: str) -> list[dict[str, object]]:
    """Gives a row a kind of penalty: its time, that of a step without it, and the ratio of whole steps."""
    step = Step(name)
    times: dict[str, list[tuple[float, float]]] = {kind: [] for kind in step.penalties}
    for number in range(WARM_UP + STEPS):
        for kind, seconds in times.items():
            measured = step.seconds(kind)
            if number >= WARM_UP:
                seconds.append(measured)
    plain = statistics.median(whole for whole, _ in times["none"])
    rows = []
    for kind in SCHEDULES:
        own = statistics.median(penalty for _, penalty in times[kind])
        pairs = zip(times[kind], times["none"], strict=True)
        ratio = statistics.median(whole / without for (whole, _), (without, _) in pairs)
        milliseconds = {"step_ms": round(1000 * plain, 1), "penalty_ms": round(1000 * own, 3)}
        rows.append({"network": name, "penalty": kind, **milliseconds, "percent": round(100 * own / plain, 3)})
        rows[-1]["ratio"] = round(ratio, 3)
        print(rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    sys.exit(main())
