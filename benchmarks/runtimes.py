"""Latency of networks of the zoo by torch, onnxruntime and OpenVINO, as `yoloslim bench` measures it.

    python benchmarks/runtimes.py [--threads N]

Each network has fresh weights, which its time does not depend on, and reads one picture of 416x416.
Prints the table of docs/runtimes.md and writes ``benchmarks/results/runtimes.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from environment import machine

from yoloslim.cli import main as yoloslim
from yoloslim.nn.network import Network
from yoloslim.recipes.export import export, export_openvino, random_batch
from yoloslim.runtime.load import Model
from yoloslim.zoo.catalog import find

ROOT = Path(__file__).resolve().parent.parent
SIZE = 416
NETWORKS = (
    "yolo-fastest-1.1-xl",
    "yolov3tiny-mobilenetv3-small",
    "yolov3-tiny",
    "yolov4-tiny",
    "yolov7-tiny",
    "yolov3",
)
COLUMNS = {"torch": "", "onnxruntime": ".onnx", "openvino": ".xml"}


def measured(name: str, threads: int, rounds: int) -> dict[str, Any]:
    """Gives what `yoloslim bench` tells of one network and its exported forms."""
    with tempfile.TemporaryDirectory() as folder:
        onnx_file, ir_file, report = (Path(folder) / f"{name}{suffix}" for suffix in (".onnx", ".xml", ".json"))
        model = Model(Network(find(name, size=(SIZE, SIZE))).eval())
        batches = [random_batch(model.graph.input_shape, seed=0)]
        export(model, onnx_file, batches)
        export_openvino(model, ir_file, batches)
        options = ["--size", str(SIZE), "--threads", str(threads), "--rounds", str(rounds), "--json", str(report)]
        code = yoloslim(["bench", name, str(onnx_file), str(ir_file), "--quiet", *options])
        assert code == 0, f"bench of {name} ended with {code}"
        record: dict[str, Any] = json.loads(report.read_text())
    return record


def row(name: str, record: dict[str, Any]) -> str:
    """Gives a row of the table: the network alone, by each runtime on its own file."""
    times = {}
    for entry in record["rows"]:
        if Path(entry["artefact"]).suffix == COLUMNS[entry["backend"]] or entry["backend"] == "torch":
            times[entry["backend"]] = entry["infer_ms"]
    cells = [f"{times[backend]:.0f} ({times[backend] / times['torch']:.2f})" for backend in COLUMNS]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Measures, prints the table and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    records = {name: measured(name, given.threads, given.rounds) for name in NETWORKS}
    print("| network | torch | onnxruntime | OpenVINO |\n|---|---|---|---|")
    print("\n".join(row(name, record) for name, record in records.items()))
    for record in records.values():
        for entry in record["rows"]:
            entry["artefact"] = Path(entry["artefact"]).name
    result = {"machine": machine(), "threads": given.threads, "networks": records}
    (ROOT / "benchmarks" / "results" / "runtimes.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
