"""How fast training pictures come, beside nothing but reading and resizing them, and how fast labels come again.

    YOLOSLIM_TEST_DATA=FOLDER python benchmarks/loader.py

Two processes read the training pictures of bccd (640x480) at 416 pixels, in turn bare (``cv2.imread`` and
``cv2.resize``), through the loader with everything but mosaic, and with mosaic; nothing is cached. Then a data set of
100,000 label files is made and loaded twice. Writes ``benchmarks/results/loader.json``; ends with 1 where the loader is
below 80 % of bare reading, or the second loading takes more than 5 seconds.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from environment import machine, versions

ROOT = Path(__file__).resolve().parent.parent
SIZE, PROCESSES, ROUNDS, REPEATS = 416, 2, 5, 3
LEAST_SHARE, MOST_SECONDS, LABELS = 0.8, 5.0, 100_000


def main() -> int:
    """Runs both measurements, prints and stores them, and gives the exit code."""
    rates = measure_pictures()
    first, second = measure_labels()
    ratios = {name: rates[name] / rates["bare"] for name in ("loader", "mosaic")}
    record = {"size": SIZE, "processes": PROCESSES, "pictures_per_second": rates, "share_of_bare": ratios}
    record |= {"labels": LABELS, "first_seconds": first, "second_seconds": second}
    record |= {"machine": machine(), "versions": versions()}
    (ROOT / "benchmarks" / "results" / "loader.json").write_text(json.dumps(record, indent=1) + "\n")
    print("| pictures | a second | of bare |\n|---|---|---|")
    for name, rate in rates.items():
        print(f"| {name} | {rate:.0f} | {rate / rates['bare']:.2f} |")
    print(f"{LABELS:,} labels: {first:.1f} s, the second time {second:.1f} s")
    return 0 if ratios["loader"] >= LEAST_SHARE and second <= MOST_SECONDS else 1


def measure_pictures() -> dict[str, float]:
    """Gives the median pictures a second of each way; the ways take turns."""
    from yoloslim.data.augment import AugmentSettings
    from yoloslim.data.batches import LoaderSettings
    from yoloslim.data.datafile import load_data_file
    from yoloslim.data.dataset import load_dataset
    from yoloslim.data.layout import Layout
    from yoloslim.data.loader import TrainingSet, training_loader

    dataset = load_dataset(load_data_file(str(ROOT / "examples" / "bccd.yaml")), "train")
    layout = Layout((SIZE, SIZE), "letterbox")
    off = LoaderSettings(cache="off")
    loaders = {
        name: training_loader(
            TrainingSet(dataset, layout, AugmentSettings(mosaic=mosaic), loader=off), 16, workers=PROCESSES
        )
        for name, mosaic in (("loader", 0.0), ("mosaic", 1.0))
    }
    paths = [str(sample.path) for sample in dataset.samples] * REPEATS
    times: dict[str, list[float]] = {name: [] for name in ("bare", *loaders)}
    with ProcessPoolExecutor(PROCESSES, initializer=partial(cv2.setNumThreads, 1)) as pool:
        for number in range(ROUNDS + 1):  # the first starts the processes and does not count
            times["bare"].append(seconds(lambda: sum(pool.map(read, paths, chunksize=16))))
            for name, loader in loaders.items():
                epochs = range(number * REPEATS, (number + 1) * REPEATS)
                times[name].append(seconds(lambda: [len(b) for epoch in epochs for b in loader.batches(epoch)]))  # noqa: B023
    return {name: len(paths) / statistics.median(found[1:]) for name, found in times.items()}


def read(path: str) -> int:
    """Reads a picture and makes it as large as the network's input."""
    picture = cv2.imread(path)
    assert picture is not None
    scale = SIZE / max(picture.shape[:2])
    return len(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)) * 0


def measure_labels() -> tuple[float, float]:
    """Gives the seconds that loading takes the first and the second time."""
    from yoloslim.data.batches import LoaderSettings
    from yoloslim.data.datafile import load_data_file
    from yoloslim.data.dataset import load_dataset
    from yoloslim.data.layout import Layout
    from yoloslim.data.loader import TrainingSet

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["YOLOSLIM_CACHE"] = str(folder / "cache")
        for part in ("images", "labels"):
            (folder / part).mkdir()
        picture = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
        for number in range(LABELS):
            (folder / "images" / f"{number:06d}.png").write_bytes(picture)
            (folder / "labels" / f"{number:06d}.txt").write_text(f"{number % 3} .5 .5 .25 .25\n")
        file = folder / "data.yaml"
        file.write_text("train: images\nval: images\nnames: [a, b, c]\n")
        time.sleep(3)  # files that have just changed are not relied on

        def load() -> None:
            dataset = load_dataset(load_data_file(str(file)), "train")
            TrainingSet(dataset, Layout((64, 64), "stretch"), loader=LoaderSettings(cache="off"))

        return seconds(load), seconds(load)


def seconds(work: Callable[[], object]) -> float:
    """Gives how long ``work`` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
