"""How long it takes to know what is in a data set of 100,000 pictures, the first time and the second.

    python benchmarks/labels.py

Writes 100,000 small JPEG pictures with YOLO labels, then loads them as a training without kept pictures does, each time
in a fresh process: the first reads every file, the second finds labels of the first, the third finds one picture in a
hundred changed. Ends with 1 where the second takes 5 seconds or more; writes ``benchmarks/results/labels.json``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import cv2
import numpy as np
from environment import machine, versions

from yoloslim.data.label_cache import SETTLED_NS

ROOT = Path(__file__).resolve().parent.parent
COUNT, MOST_SECONDS = 100_000, 5.0
LOAD = """
import sys, time
start = time.perf_counter()
from yoloslim.data.datafile import load_data_file
from yoloslim.data.dataset import load_dataset
from yoloslim.data.layout import Layout
from yoloslim.data.library import Library
library = Library(load_dataset(load_data_file(sys.argv[1]), "train"), Layout((416, 416), "letterbox"))
print(time.perf_counter() - start, len(library), len(library.annotations.boxes))
"""


def write_set(folder: Path) -> Path:
    """Writes the data set, with one to eight boxes a picture, and gives its data file."""
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (24, 32, 3), np.uint8) for _ in range(50)]
    pictures = [cv2.imencode(".jpg", picture)[1].tobytes() for picture in noise]
    for name in ("images", "labels"):
        (folder / name).mkdir()
    for number in range(COUNT):
        rows = rng.uniform(0.3, 0.7, (1 + number % 8, 2)).tolist()
        text = "".join(f"{index % 3} {x:.6f} {y:.6f} 0.200000 0.250000\n" for index, (x, y) in enumerate(rows))
        (folder / f"images/{number:06d}.jpg").write_bytes(pictures[number % len(pictures)])
        (folder / f"labels/{number:06d}.txt").write_text(text)
    (folder / "data.yaml").write_text("train: images\nnames: [a, b, c]\n")
    return folder / "data.yaml"


def load(data: Path, cache: Path) -> tuple[float, int, int]:
    """Gives the seconds that a fresh process needs, imports included, and how many pictures and boxes it finds."""
    environment = {**os.environ, "YOLOSLIM_CACHE": str(cache)}
    run = subprocess.run(
        [sys.executable, "-c", LOAD, data], capture_output=True, text=True, check=True, env=environment
    )
    seconds, pictures, boxes = run.stdout.split()
    return float(seconds), int(pictures), int(boxes)


def main() -> int:
    """Measures, prints and stores the figures, and gives the exit code."""
    with tempfile.TemporaryDirectory() as name:
        folder, cache = Path(name), Path(name) / "cache"
        data = write_set(folder)
        time.sleep(SETTLED_NS / 1e9)
        found = {"first": load(data, cache), "second": load(data, cache)}
        for number in range(0, COUNT, 100):
            (folder / f"labels/{number:06d}.txt").touch()
        found["one in a hundred changed"] = load(data, cache)
    for row, (seconds, pictures, boxes) in found.items():
        print(f"{row:26} {seconds:6.2f} s, {pictures:,} pictures, {boxes:,} boxes")
    record = {"pictures": COUNT, "boxes": found["second"][2], "machine": machine(), "versions": versions()}
    record["seconds"] = {row: round(seconds, 2) for row, (seconds, _, _) in found.items()}
    (ROOT / "benchmarks" / "results" / "labels.json").write_text(json.dumps(record, indent=1) + "\n")
    is_same = len({row[1:] for row in found.values()}) == 1
    return 0 if is_same and found["second"][0] < MOST_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
