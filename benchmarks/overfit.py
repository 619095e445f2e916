"""The classic sanity check of a training loop: a fresh network must learn a few pictures by heart.

    YOLOSLIM_TEST_DATA=FOLDER python benchmarks/overfit.py

YOLOv3-tiny from random weights, the first 32 pictures of coco128 at 224 pixels, unvaried, measured on themselves. Ends
with 1 where AP50 stays below .9 or it takes more than 20 minutes; writes ``benchmarks/results/overfit.json``.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from environment import machine, versions

from yoloslim.data.augment import AugmentSettings
from yoloslim.data.datafile import load_data_file
from yoloslim.data.dataset import load_dataset
from yoloslim.engine.settings import TrainSettings
from yoloslim.engine.task import Hooks
from yoloslim.losses.settings import LossSettings
from yoloslim.recipes.material import Material
from yoloslim.recipes.start import starting_model
from yoloslim.recipes.train import measure, train_model
from yoloslim.zoo.catalog import find

ROOT = Path(__file__).resolve().parent.parent
PICTURES, SIZE = 32, 224
LEAST_AP50, MOST_SECONDS = 0.9, 20 * 60
SETTINGS = TrainSettings(epochs=120, batch=8, learning_rate=0.08, ema=0.99, workers=2, eval_every=20)


def main() -> int:
    """Trains, prints and stores the figures, and gives the exit code."""
    dataset = load_dataset(load_data_file(str(ROOT / "examples" / "coco128.yaml")), "train")
    few = replace(dataset, samples=dataset.samples[:PICTURES])
    material = Material(few, few, "letterbox", AugmentSettings.off(), LossSettings())
    model = starting_model(find("yolov3-tiny", size=(SIZE, SIZE)), "", few.names, SETTINGS.seed)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        hooks = Hooks(on_row=lambda row: print({key: round(value, 4) for key, value in row.items()}, flush=True))
        trained, _, _ = train_model(model, material, SETTINGS, Path(folder), watch=hooks)
    seconds = time.perf_counter() - start
    figures = measure(trained, material, "auto")
    record = {"settings": asdict(SETTINGS), "pictures": PICTURES, "size": SIZE, "seconds": round(seconds, 1)}
    record |= {"machine": machine(), "versions": versions(), "report": dict(figures)}
    (ROOT / "benchmarks" / "results" / "overfit.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"AP50 {figures['map50']:.4f} in {seconds / 60:.1f} minutes")
    return 0 if figures["map50"] >= LEAST_AP50 and seconds <= MOST_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
