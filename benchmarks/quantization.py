"""Networks on integers without training, beside what onnxruntime and NNCF make of the same files; speed and size.

    export YOLOSLIM_TEST_DATA=FOLDER
    python benchmarks/quantization.py accuracy [--nncf PYTHON]      AP50 on the 128 val2017 pictures of coco128
    python benchmarks/quantization.py speed                         float and int8 in turn, one run; sizes of the files

Ranges are measured on the 128 train2017 pictures, for all alike. NNCF lives in an environment of its own, whose Python
``--nncf`` names. Every row is kept in ``benchmarks/results/quantization-*.json``; what is there is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from environment import machine, versions
from numpy.typing import NDArray
from tables import model_options

from yoloslim.boxes.detect import DetectSettings
from yoloslim.cli.inputs import graph_of
from yoloslim.compress.quantization.integers import integers_of
from yoloslim.compress.quantization.network import QuantizedNetwork
from yoloslim.data.datafile import load_data_file
from yoloslim.data.dataset import Dataset, load_dataset
from yoloslim.export.onnx import INPUT, export_onnx
from yoloslim.nn.network import Network
from yoloslim.recipes.evaluate import evaluate_on
from yoloslim.recipes.evidence import Pictures, accuracy_on, training_pictures
from yoloslim.recipes.export import float_tensors
from yoloslim.recipes.quantize import quantize
from yoloslim.recipes.schema import QuantizeTable
from yoloslim.runtime.artefact import Artefact, open_artefact
from yoloslim.runtime.load import Model, load
from yoloslim.runtime.onnx_backend import OnnxBackend
from yoloslim.weights.description import Description
from yoloslim.weights.published import weights_file
from yoloslim.zoo.catalog import find

HERE = Path(__file__).resolve().parent
NETWORKS = ("yolov3-tiny", "yolo-fastest-1.1-xl", "MobileNetV2-YOLOv3-Nano-coco")
TIMED = ("yolov3-tiny", "yolov4-tiny", "yolo-fastest-1.1-xl", "MobileNetV2-YOLOv3-Nano-coco")
PICTURES = 128
ROUNDS = 40
WARM_UP = 8

Run = Callable[[], Any]


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=("accuracy", "speed"))
    parser.add_argument("--nncf", default="", metavar="PYTHON", help="the Python of an environment with nncf and onnx")
    parser.add_argument("--networks", nargs="*", default=None, help="only these")
    args = parser.parse_args()
    path = HERE / "results" / f"quantization-{args.table}.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else {}
    for name in args.networks or (NETWORKS if args.table == "accuracy" else TIMED):
        found = rows.setdefault(name, {})
        work = accuracies(name, found, args.nncf) if args.table == "accuracy" else timed(name, found)
        for key, value in work:
            found[key] = value
            path.write_text(json.dumps({"machine": machine(), "versions": versions(), "rows": rows}, indent=1) + "\n")
            print(f"{name:32}{key:32}{value:.4f}", flush=True)


def accuracies(name: str, known: dict[str, float], nncf: str) -> Iterator[tuple[str, float]]:
    """Yields (way, AP50) for every way that is not known yet."""
    model, training, tested = opened(name)
    measured = Pictures(training, tested, PICTURES)
    in_torch = accuracy_on(model, tested, measured)
    if "float" not in known:
        yield "float", in_torch(model.network)
    batches = training_pictures(model, training, PICTURES, 8)
    with tempfile.TemporaryDirectory() as folder:
        dense, made = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        write(model, model.network, dense)
        rounded = cache(lambda: quantize(model.network, QuantizeTable(), batches).network)
        ways: dict[str, Callable[[], float]] = {
            "ours": lambda: ours(model, rounded(), made, tested),
            "ours in torch": lambda: in_torch(rounded()),
            "quantize_static": lambda: static(model, dense, made, batches, tested),
        }
        if nncf:
            ways["nncf"] = lambda: peer(nncf, model, dense, made, batches, tested)
        for way, run in ways.items():
            if way not in known:
                yield way, run()


def opened(name: str) -> tuple[Model, Dataset, Dataset]:
    """Gives a published network with the pictures to measure ranges, and accuracy, on."""
    options = model_options(name).split()
    words = {key: os.path.expandvars(value) for key, value in zip(options[::2], options[1::2], strict=True)}
    data = load_data_file(str(HERE.parent / words["--data"]))
    model = load(weights_file(words["--weights"]), graph_of(words["--cfg"]))
    return model, load_dataset(data, "train"), load_dataset(data, "val")


def write(model: Model, network: Network, path: Path) -> None:
    """Writes a network, float or quantized, as ONNX."""
    integers = integers_of(network) if isinstance(network, QuantizedNetwork) else None
    export_onnx(path, Description(network.graph, model.names, model.resize), float_tensors(network), integers)


def ours(model: Model, network: QuantizedNetwork, path: Path, tested: Dataset) -> float:
    """Gives the AP50 of our file, run by onnxruntime."""
    write(model, network, path)
    return accuracy_of(model, path, tested)


def accuracy_of(model: Model, path: Path, tested: Dataset) -> float:
    """Gives the AP50 of an ONNX file of a network, whoever wrote it."""
    artefact = Artefact(OnnxBackend(path), Description(model.graph, model.names, model.resize), "onnxruntime")
    return evaluate_on(artefact.detector(DetectSettings(conf=0.001)), tested)[0].map50


def static(model: Model, dense: Path, path: Path, batches: Any, tested: Dataset) -> float:
    """Gives the AP50 of onnxruntime's own quantization of the whole graph, prepared as its documents say."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.pictures = iter(image.numpy() for batch in batches for image in batch.split(1))

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            picture = next(self.pictures, None)
            return None if picture is None else {INPUT: picture}

    prepared = path.with_name("prepared.onnx")
    quant_pre_process(str(dense), str(prepared), skip_symbolic_shape=True)
    quantize_static(str(prepared), str(path), Reader(), quant_format=QuantFormat.QDQ, per_channel=True)
    return accuracy_of(model, path, tested)


def peer(python: str, model: Model, dense: Path, path: Path, batches: Any, tested: Dataset) -> float:
    """Gives the AP50 of NNCF's quantization of the same file, made in its own environment."""
    pictures = path.with_name("pictures.npy")
    np.save(pictures, np.concatenate([batch.numpy() for batch in batches]))
    subprocess.run([python, HERE / "peers" / "nncf_ptq.py", dense, pictures, path], check=True)
    return accuracy_of(model, path, tested)


def timed(name: str, known: dict[str, float]) -> Iterator[tuple[str, float]]:
    """Yields the medians of float and int8, taken in turn, their ratio, and the sizes of the files."""
    if known:
        return
    model = timed_model(name)
    shape = model.graph.input_shape
    batch = np.random.default_rng(0).random((1, *shape), np.float32)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        paths = {"float": folder / "float.onnx"}
        write(model, model.network, paths["float"])
        for target in ("onnxruntime", "openvino"):
            made = quantize(model.network, QuantizeTable(target=target), pictures_of(model))
            paths[target] = folder / f"{target}.onnx"
            write(model, made.network, paths[target])
        runs = {
            "onnxruntime float ms": onnxruntime_run(paths["float"], batch),
            "onnxruntime int8 ms": onnxruntime_run(paths["onnxruntime"], batch),
            "openvino float ms": openvino_run(paths["float"], batch),
            "openvino int8 ms": openvino_run(paths["openvino"], batch),
        }
        medians = interleaved(runs)
        yield from medians.items()
        for runtime in ("onnxruntime", "openvino"):
            ratio = medians[f"{runtime} float ms"] / medians[f"{runtime} int8 ms"]
            if ratio <= 1:
                print(f"warning: {name}: int8 is not faster than float in {runtime}", file=sys.stderr)
            yield f"{runtime} float / int8", ratio
        sizes = {key: path.stat().st_size for key, path in paths.items()}
        yield "bytes int8 / float", sizes["onnxruntime"] / sizes["float"]


def timed_model(name: str) -> Model:
    """Gives a published network where its weights are at hand, else one of the zoo with random weights."""
    return opened(name)[0] if name in NETWORKS else Model(Network(find(name)).eval())


def pictures_of(model: Model) -> Any:
    """Gives a few pictures to measure ranges on: speed does not depend on them."""
    return training_pictures(model, opened("yolov3-tiny")[1], 8, 4)


def onnxruntime_run(path: Path, batch: NDArray[np.float32]) -> Run:
    """Gives a function that runs a file by onnxruntime."""
    backend = open_artefact(path).backend
    return lambda: backend(batch)


def openvino_run(path: Path, batch: NDArray[np.float32]) -> Run:
    """Gives a function that runs a file by OpenVINO, floats as float32: bfloat16 would be another network."""
    import openvino

    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(str(path), "CPU", settings)
    return lambda: compiled({0: batch})


def interleaved(runs: dict[str, Run]) -> dict[str, float]:
    """Gives the median milliseconds of each, taken in turn, so that a busy moment meets all of them."""
    times: dict[str, list[float]] = {key: [] for key in runs}
    for number in range(WARM_UP + ROUNDS):
        for key, run in runs.items():
            start = time.perf_counter()
            run()
            if number >= WARM_UP:
                times[key].append(1000 * (time.perf_counter() - start))
    return {key: float(np.median(values)) for key, values in times.items()}


if __name__ == "__main__":
    main()
