"""What a teacher adds to a training step, its own forward pass included.

    python benchmarks/distillation.py

YOLOv3-tiny teaches its pruned form (15 % of the parameters), five classes, 160 pixels, batch 16, one thread, SGD,
memory laid out as in training. A plain step and a taught one take turns, so that a slow minute of the machine meets
both; the ratio is the median over the pairs. Writes ``benchmarks/results/distillation.json``.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))
from environment import machine, versions

from yoloslim.compress.distillation.distiller import Distiller
from yoloslim.compress.distillation.methods import METHODS, Method, weighted_terms
from yoloslim.compress.distillation.teacher import NetworkTeacher
from yoloslim.engine.allocator import keep_large_blocks
from yoloslim.engine.optimizer import make_optimizer
from yoloslim.engine.settings import TrainSettings
from yoloslim.graph.graph import Graph
from yoloslim.losses.detection import detection_loss
from yoloslim.losses.settings import LossSettings
from yoloslim.nn.network import Network
from yoloslim.nn.probed import ProbedNetwork
from yoloslim.recipes.prune import planned, prune
from yoloslim.recipes.schema import PruneTable
from yoloslim.zoo.catalog import find

ROOT = Path(__file__).resolve().parent.parent
SIZE, BATCH, BOXES, THREADS, CLASSES = 160, 16, 32, 1, 5
WARM_UP, PAIRS = 2, 9


class Step:
    """One step of a training, alone or taught."""

    def __init__(self, student: Network, distiller: Distiller | None) -> None:
        self.network, self.distiller = student, distiller
        probes = {} if distiller is None else distiller.probes
        self.learner = ProbedNetwork(student, probes).to(memory_format=torch.channels_last).train()
        self.optimizer = make_optimizer(self.learner, TrainSettings(1))

    def seconds(self, images: Tensor, targets: Tensor) -> float:
        """Does it, and gives how long it took."""
        start = time.perf_counter()
        head_maps, seen = self.learner(images)
        yolos = [yolo for _, yolo in self.network.graph.heads]
        loss = detection_loss(head_maps, targets, yolos, (SIZE, SIZE), LossSettings()).total
        if self.distiller is not None:
            loss = loss + sum(self.distiller(images, targets, head_maps, seen).values())
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return time.perf_counter() - start


def main() -> None:
    """Measures, prints and stores the figures."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    keep_large_blocks()
    teacher = Network(find("yolov3-tiny", classes=CLASSES, size=(SIZE, SIZE)))
    small = prune(teacher, planned(teacher, PruneTable(score="l1", target="params=0.15"))).network.graph
    rows = [compared(method, teacher, small) for method in METHODS]
    about = {"size": SIZE, "batch": BATCH, "boxes": BOXES, "threads": THREADS, "pairs": PAIRS}
    record = {**about, "machine": machine(), "versions": versions(), "rows": rows}
    (ROOT / "benchmarks" / "results" / "distillation.json").write_text(json.dumps(record, indent=1) + "\n")
    print("| method | plain step, ms | taught step, ms | ratio |\n|---|---|---|---|")
    for row in rows:
        print(f"| {row['method']} | {row['plain_ms']} | {row['taught_ms']} | {row['ratio']} |")


def compared(method: Method, teacher: Network, small: Graph) -> dict[str, object]:
    """Gives the median times of both steps, and the median of their ratios."""
    terms = weighted_terms(method, "mean", {}, 0.0)
    students = [Network(small), Network(small)]
    distiller = Distiller(small, [NetworkTeacher("dense", teacher)], terms, LossSettings().anchor_threshold)
    plain, taught = Step(students[0], None), Step(students[1], distiller)
    images = torch.rand(BATCH, 3, SIZE, SIZE).to(memory_format=torch.channels_last)
    pairs = [(plain.seconds(images, boxes()), taught.seconds(images, boxes())) for _ in range(WARM_UP + PAIRS)]
    pairs = pairs[WARM_UP:]
    ratio = statistics.median(second / first for first, second in pairs)
    return {"method": method, "plain_ms": ms(pairs, 0), "taught_ms": ms(pairs, 1), "ratio": round(ratio, 2)}


def ms(pairs: Sequence[tuple[float, float]], place: int) -> float:
    """Gives the median of one side, milliseconds."""
    return round(1000 * statistics.median(pair[place] for pair in pairs), 1)


def boxes() -> Tensor:
    """Gives the objects of a batch, sides from 10 to 60 % of the picture."""
    targets = torch.rand(BOXES, 6)
    targets[:, 0] = torch.arange(BOXES) % BATCH
    targets[:, 1] = torch.arange(BOXES) % CLASSES
    targets[:, 4:] = targets[:, 4:] * 0.5 + 0.1
    return targets


if __name__ == "__main__":
    main()
