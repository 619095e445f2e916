"""Latencies are taken in turn, part by part; quantized networks that are not faster are named."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from yoloslim.boxes.detect import DetectSettings
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.recipes.bench import WARM_UP, Contestant, Latency, measure_in_turn, noise_picture, slow_integers
from yoloslim.runtime.artefact import is_quantized
from yoloslim.runtime.detector import Detector

CFG = (
    "[net]\nwidth=32\nheight=32\n[convolutional]\nfilters=6\nsize={size}\npad=1\n[yolo]\nmask=0\nclasses=1\nanchors=4,4"
)


def contestant(name: str, seconds: float, calls: list[str], *, size: int = 1, quantized: bool = False) -> Contestant:
    graph = parse_cfg(CFG.format(size=size))

    def backend(batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        calls.append(name)
        time.sleep(seconds)
        return [np.full((len(batch), 1, 32, 32, 6), -9, np.float32)]

    yolos = tuple(yolo for _, yolo in graph.heads)
    detector = Detector(backend, yolos, (32, 32), "stretch", DetectSettings(0.25))
    return Contestant(name, "torch", detector, graph, quantized)


def test_contestants_run_in_turn_and_warm_up_in_each() -> None:
    calls: list[str] = []
    pair = [contestant("a", 0, calls), contestant("b", 0, calls)]

    measure_in_turn(pair, [noise_picture(0)], rounds=2)

    assert calls == ["a", "a", "b", "b"] * (WARM_UP + 2)


def test_the_network_is_timed_apart_from_what_is_around_it() -> None:
    (took,) = measure_in_turn([contestant("a", 0.01, [])], [noise_picture(0)] * 2, rounds=5)

    assert took.infer_ms >= 10
    assert 0 < took.pre_ms < took.infer_ms
    assert took.p95_ms >= took.p50_ms >= took.infer_ms + took.pre_ms / 2


@pytest.mark.parametrize(
    ("integers_ms", "size", "backend", "told"),
    [(9.0, 1, "torch", 0), (10.0, 1, "torch", 1), (12.0, 1, "torch", 1), (12.0, 3, "torch", 0), (12.0, 1, "other", 0)],
)
def test_integers_that_are_not_faster_than_the_same_layers_in_float_are_named(
    integers_ms: float, size: int, backend: str, told: int
) -> None:
    floats = contestant("float", 0, [])
    integers = replace(contestant("int8", 0, [], size=size, quantized=True), backend=backend)
    times = [Latency(ms + 1, ms + 2, 0.5, ms, 0.5) for ms in (10.0, integers_ms)]

    found = slow_integers([floats, integers], times)

    assert len(found) == told
    assert all(f"int8 by torch is quantized and takes {integers_ms:.1f} ms, in float 10.0 ms" in text for text in found)


@pytest.mark.parametrize("quantized", [True, False])
def test_a_file_is_known_to_be_quantized_by_its_operators(quantized: bool, tmp_path: Path) -> None:
    import openvino

    kinds = ("QuantizeLinear", "DequantizeLinear") if quantized else ("Relu", "Relu")
    constants = ["scale", "zero"] if quantized else []
    nodes = [helper.make_node(k, [i, *constants], [o]) for k, i, o in zip(kinds, "xy", "yz", strict=True)]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xz"]
    scale = helper.make_tensor("scale", TensorProto.FLOAT, [], [0.1])
    zero = helper.make_tensor("zero", TensorProto.UINT8, [], [3])
    body = helper.make_graph(nodes, "DequantizeLinear", ports[:1], ports[1:], [scale, zero] if quantized else [])
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "net.onnx")
    openvino.save_model(openvino.Core().read_model(tmp_path / "net.onnx"), tmp_path / "net.xml")

    assert is_quantized(tmp_path / "net.onnx") == quantized
    assert is_quantized(tmp_path / "net.xml") == quantized
