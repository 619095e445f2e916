"""How many training pictures a second two worker processes give, beside bare reading and resizing by the same two.

    YOLOSLIM_TEST_DATA=FOLDER python benchmarks/loader.py

The training pictures of coco128 at 416 pixels in batches of 16, each four times an epoch. Every row is run in turn,
``ROUNDS`` times; rates are medians, and a share is the median over the rounds of a row's rate by that round's bare one.
``bare`` is ``cv2.imread`` and ``cv2.resize`` in as many worker processes, handed over in the same batches. Ends with 1
where one of these stays below .8 of it: the loader that only fits pictures in and keeps none, the loader as by
default. Writes ``benchmarks/results/loader.json``.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from environment import machine, versions

os.environ.setdefault("YOLOSLIM_CACHE", os.devnull)

import cv2
import numpy as np
import torch

from yoloslim.data.augment import AugmentSettings
from yoloslim.data.batches import Key, LoaderSettings
from yoloslim.data.datafile import load_data_file
from yoloslim.data.dataset import Dataset, load_dataset
from yoloslim.data.layout import Layout
from yoloslim.data.loader import Item, TrainingLoader, TrainingSet, training_loader
from yoloslim.data.sampling import SamplingSettings

ROOT = Path(__file__).resolve().parent.parent
SIZE, BATCH, WORKERS, ROUNDS, TIMES = 416, 16, 2, 7, 4
LEAST_SHARE = 0.8
VARIED = AugmentSettings()
UNCACHED, RECT = LoaderSettings(cache="off"), LoaderSettings(cache="off", shape="rect")

ROWS = {
    "letterbox alone, nothing kept": (AugmentSettings.off(), UNCACHED),
    "without mosaic": (VARIED, LoaderSettings()),
    "without mosaic, nothing kept": (VARIED, UNCACHED),
    "without mosaic, rect, nothing kept": (VARIED, RECT),
    "mosaic": (AugmentSettings(mosaic=1.0), LoaderSettings()),
    "mosaic, nothing kept": (AugmentSettings(mosaic=1.0), UNCACHED),
    "mosaic and mixup, each in half": (AugmentSettings(mosaic=0.5, mixup=0.5), LoaderSettings()),
}
CHECKED = ("letterbox alone, nothing kept", "without mosaic")


class Bare(TrainingSet):
    """Pictures read and resized, and nothing else."""

    def __getitem__(self, key: Key) -> Item:
        picture = cv2.resize(cv2.imread(str(self.path(key.epoch, key.draw))), key.size)
        return Item(torch.from_numpy(picture), torch.zeros(0, 5), torch.zeros(80, dtype=torch.bool))


def loader(
    kind: type[TrainingSet], dataset: Dataset, augment: AugmentSettings, loading: LoaderSettings
) -> TrainingLoader:
    """Gives a loader whose workers have started."""
    layout, often = Layout((SIZE, SIZE), "letterbox"), SamplingSettings(weights=(TIMES,))
    made = training_loader(kind(dataset, layout, augment, sampling=often, loader=loading), BATCH, workers=WORKERS)
    next(made.batches(0))
    return made


def rate(loading: TrainingLoader, epoch: int) -> float:
    """Gives the pictures a second of one epoch."""
    start = time.perf_counter()
    count = sum(len(batch) for batch in loading.batches(epoch))
    return count / (time.perf_counter() - start)


def main() -> int:
    """Measures, prints and stores the figures, and gives the exit code."""
    dataset = load_dataset(load_data_file(str(ROOT / "examples" / "coco128.yaml")), "train")
    bare = loader(Bare, dataset, AugmentSettings.off(), UNCACHED)
    loaders = {name: loader(TrainingSet, dataset, *settings) for name, settings in ROWS.items()}
    rates: dict[str, list[float]] = {name: [] for name in ("bare", *ROWS)}
    for epoch in range(1, ROUNDS + 1):
        for name, made in {"bare": bare, **loaders}.items():
            rates[name].append(rate(made, epoch))
    rows = {}
    for name, found in rates.items():
        share = statistics.median(np.array(found) / rates["bare"])
        rows[name] = {"pictures_per_second": round(statistics.median(found), 1), "share_of_bare": round(share, 3)}
        print(f"{name:36} {rows[name]['pictures_per_second']:8.1f} {rows[name]['share_of_bare']:6.2f}")
    record = {"size": SIZE, "batch": BATCH, "workers": WORKERS, "rounds": ROUNDS, "pictures": len(dataset) * TIMES}
    record |= {"machine": machine(), "versions": versions(), "rows": rows}
    (ROOT / "benchmarks" / "results" / "loader.json").write_text(json.dumps(record, indent=1) + "\n")
    return 0 if min(rows[name]["share_of_bare"] for name in CHECKED) >= LEAST_SHARE else 1


if __name__ == "__main__":
    sys.exit(main())
