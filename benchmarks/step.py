"""Training steps (forward, loss, backward, update) of yoloslim beside a plain port of the originals' step.

    python benchmarks/step.py                      run both in turn, print the table, write benchmarks/results/step.json
    python benchmarks/step.py --one ours yolov4-tiny    one process of it: prints seconds a step as JSON

416 pixels, 8 pictures a batch, 2 threads; ours also with ``precision = "bf16-mixed"``, which has no bar: a processor
without instructions for bfloat16 loses by it. Each measurement is a process of its own, because an allocator's settings
are a whole process's; they take turns, so that a slow minute of the machine meets both. Ends with 1 where a ratio is
below its bar.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))
from environment import machine, versions

if TYPE_CHECKING:
    from yoloslim.engine.settings import Precision

ROOT = Path(__file__).resolve().parent.parent
SIZE, BATCH, BOXES, THREADS = 416, 8, 64, 2
WARM_UP, STEPS, ROUNDS = 2, 5, 5
BARS = {"yolov3-tiny": 1.5, "yolov4-tiny": 1.25, "yolov3tiny-mobilenetv3-small": 1.3}


def main() -> int:
    """Runs the command line and gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", nargs=2, metavar=("WHOSE", "NETWORK"), help="measure one, in this process")
    one = parser.parse_args().one
    if one:
        print(json.dumps(KINDS[one[0]](one[1])))
        return 0
    rows = {network: compare(network) for network in BARS}
    record = {"size": SIZE, "batch": BATCH, "boxes": BOXES, "threads": THREADS, "rounds": ROUNDS, "steps": STEPS}
    record |= {"machine": machine(), "versions": versions(), "rows": rows}
    (ROOT / "benchmarks" / "results" / "step.json").write_text(json.dumps(record, indent=1) + "\n")
    print("| network | plain port, s | yoloslim, s | ratio | bar | in bfloat16, s |\n|---|---|---|---|---|---|")
    for network, row in rows.items():
        ratio = f"{row['ratio']:.2f} | {BARS[network]:.2f}"
        print(f"| {network} | {row['peer']:.3f} | {row['ours']:.3f} | {ratio} | {row['bfloat16']:.3f} |")
    for network, row in rows.items():
        shares = ", ".join(f"{part} {100 * share:.1f} %" for part, share in row["peer_parts"].items())
        print(f"{network}, the plain port's parts: {shares}")
    return 0 if all(row["ratio"] >= BARS[network] for network, row in rows.items()) else 1


def compare(network: str) -> dict[str, Any]:
    """Gives the median seconds of each, and the median of the plain port's over ours, round by round."""
    pairs = [{whose: measured(whose, network) for whose in KINDS} for _ in range(ROUNDS)]
    seconds = {whose: statistics.median(pair[whose]["seconds"] for pair in pairs) for whose in KINDS}
    parts = pairs[-1]["peer"]["parts"]
    shares = {part: value / sum(parts.values()) for part, value in parts.items()}
    ratios = [pair["peer"]["seconds"] / pair["ours"]["seconds"] for pair in pairs]
    return {**seconds, "ratio": statistics.median(ratios), "ratios": ratios, "peer_parts": shares}


def measured(whose: str, network: str) -> dict[str, Any]:
    """Gives what one process reports."""
    command = [sys.executable, __file__, "--one", whose, network]
    report: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return report


def material() -> tuple[Any, Any]:
    """Gives the pictures and objects of a batch."""
    import torch

    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (BATCH, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8)
    targets = torch.rand(BOXES, 6, generator=generator) * 0.5 + 0.2
    targets[:, 0] = torch.arange(BOXES) % BATCH
    targets[:, 1] = torch.arange(BOXES) % 80
    return images, targets


def peer(network: str) -> dict[str, Any]:
    """Measures the plain port."""
    import torch
    from peers.plain_step import PlainNetwork, PlainStep

    from yoloslim.graph.to_cfg import to_sections
    from yoloslim.zoo.catalog import find

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    graph = find(network, size=(SIZE, SIZE))
    sections = [(section.name, {o.key: o.value for o in section.options}) for section in to_sections(graph)[1:]]
    anchors = [torch.tensor([yolo.anchors[index] for index in yolo.mask]) for _, yolo in graph.heads]
    step = PlainStep(PlainNetwork(sections), anchors, SIZE)
    images, targets = material()
    for _ in range(WARM_UP):
        step(images, targets)
    step.seconds = dict.fromkeys(step.seconds, 0.0)
    start = time.perf_counter()
    for _ in range(STEPS):
        step(images, targets)
    return {"seconds": (time.perf_counter() - start) / STEPS, "parts": step.seconds}


def ours(network: str, precision: Precision = "32-true") -> dict[str, Any]:
    """Measures the steps of the training loop itself, the moving average included."""
    import tempfile

    import torch

    from yoloslim.data.loader import Batch
    from yoloslim.engine.settings import TrainSettings
    from yoloslim.engine.task import Hooks, Task
    from yoloslim.engine.train import train
    from yoloslim.losses.detection import detection_loss
    from yoloslim.losses.settings import LossSettings
    from yoloslim.nn.network import Network
    from yoloslim.zoo.catalog import find

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    model = Network(find(network, size=(SIZE, SIZE)))
    yolos = [yolo for _, yolo in model.graph.heads]
    images, targets = material()
    batch = Batch(images, targets, torch.zeros(BATCH, 80, dtype=torch.bool))
    marks: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        task = Task(
            batches=lambda epoch, first: [batch] * (WARM_UP + STEPS),
            batches_per_epoch=WARM_UP + STEPS,
            loss=lambda heads, b, progress: detection_loss(heads, b.targets, yolos, (SIZE, SIZE), LossSettings()),
            evaluate=None,
            write=lambda made, path: None,
            folder=Path(folder),
        )
        hooks = Hooks(on_batch=lambda epoch, done, count: marks.append(time.perf_counter()))
        train(model, task, TrainSettings(1, batch=BATCH, precision=precision), device="cpu", hooks=hooks)
    return {"seconds": (marks[-1] - marks[WARM_UP - 1]) / STEPS}


KINDS: dict[str, Callable[[str], dict[str, Any]]] = {
    "peer": peer,
    "ours": ours,
    "bfloat16": partial(ours, precision="bf16-mixed"),
}


if __name__ == "__main__":
    sys.exit(main())
