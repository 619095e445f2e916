"""How long a network takes on this machine: measured, or added up from a table of its operators.

The table holds a time for each operator shape and grows as shapes are asked for; it is a file in the user's cache
folder, one for each backend. Above eight, channels are counted in blocks of eight, as the kernels compute them, so that
a search asks for few shapes. What the sum leaves out (joins, memory traffic, what a runtime fuses) is a factor,
measured once on the whole network.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn

from yoloslim.errors import RecipeError
from yoloslim.export.onnx import export_onnx, export_operator
from yoloslim.files import write_atomically
from yoloslim.graph.graph import Graph
from yoloslim.graph.ops import Dropout, Op, Route, Shape, Yolo
from yoloslim.graph.resize import resized
from yoloslim.graph.shapes import infer_shapes, output_shape
from yoloslim.nn.build import build_module
from yoloslim.nn.network import Network
from yoloslim.runtime.artefact import BACKENDS, BackendName
from yoloslim.runtime.torch_backend import TorchBackend
from yoloslim.weights.description import Description

_log = logging.getLogger(__name__)

_BLOCK = 8  # channels
_WARM_UP, _RUNS = 3, 20
_FREE = (Dropout, Route, Yolo)  # they do nothing, or move memory


def shortest_ms(run: Callable[[], object]) -> float:
    """Gives the shortest time of a call, milliseconds, after a few to warm up: what else a machine does only adds."""
    times = []
    for _ in range(_WARM_UP + _RUNS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1000 * min(times[_WARM_UP:])


def network_ms(network: Network, backend: str) -> float:
    """Gives the shortest time of a network for one picture, milliseconds.

    Raises:
        RecipeError: no such backend.
        BackendMissing: its package is not installed.
    """
    check_backend(backend)
    picture = np.zeros((1, *network.graph.input_shape), np.float32)
    if backend == "torch":
        run = TorchBackend(network, torch.device("cpu"))
        return shortest_ms(lambda: run(picture))
    tensors = {name: tensor.float().cpu().numpy() for name, tensor in network.state_dict().items()}
    write = partial(export_onnx, description=Description(network.graph), tensors=tensors)
    return _exported_ms(write, network.graph.input_shape, cast(BackendName, backend))


def check_backend(backend: str) -> None:
    """Makes sure that latencies can be measured with a backend.

    Raises:
        RecipeError: no such backend.
    """
    if backend not in OPERATOR_MS:
        raise RecipeError(f"latency by '{backend}': expected one of {', '.join(OPERATOR_MS)}")


def torch_operator_ms(op: Op, shape: Shape) -> float:
    """Gives the time of an operator that reads one map of that shape, by torch, milliseconds."""
    module = nn.Sequential(build_module(op, [shape])).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.zeros(1, *shape).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        return shortest_ms(lambda: module(x))


def exported_operator_ms(op: Op, shape: Shape, backend: BackendName) -> float:
    """Gives the time of an operator that reads one map of that shape, by a backend of ONNX files, milliseconds."""
    state = build_module(op, [shape]).state_dict()
    tensors = {name: tensor.numpy() for name, tensor in state.items()}
    return _exported_ms(partial(export_operator, op=op, shape=shape, tensors=tensors), shape, backend)


OPERATOR_MS: Mapping[str, Callable[[Op, Shape], float]] = {
    "torch": torch_operator_ms,
    **{name: partial(exported_operator_ms, backend=name) for name in BACKENDS},
}
"""What times one operator, by backend."""


class OperatorTable:
    """Times of operators, measured where they are not known yet, and kept in a file.

    Args:
        folder: of the file; that of the user's cache when None.

    Raises:
        RecipeError: no such backend.
    """

    def __init__(self, backend: str, folder: Path | None = None) -> None:
        check_backend(backend)
        self._measure = OPERATOR_MS[backend]
        self._path = (folder or cache_folder()) / f"latency-{backend}.json"
        self._machine = _machine(backend)
        self._times: dict[str, float] = _read(self._path).get(self._machine, {})

    def graph_ms(self, graph: Graph) -> float:
        """Gives the sum of the times of a network's operators, milliseconds."""
        shapes = infer_shapes(graph)
        before = len(self._times)
        total = sum(
            self._time(node.op, shapes[node.inputs[0]], shapes[node.name].channels)
            for node in graph
            if len(node.inputs) == 1 and not isinstance(node.op, _FREE)
        )
        if len(self._times) > before:
            self._write()
        return total

    def _time(self, op: Op, shape: Shape, outputs: int) -> float:
        op, shape = _in_blocks(op, shape, outputs)
        key = json.dumps([type(op).__name__, asdict(op), shape])
        if key not in self._times:
            self._times[key] = self._measure(op, shape)
        return self._times[key]

    def _write(self) -> None:
        tables = {**_read(self._path), self._machine: self._times}
        with write_atomically(self._path) as temporary:
            temporary.write_text(json.dumps(tables))


def predicted_ms(network: Network, backend: str, table: OperatorTable | None = None) -> Callable[[Graph], float]:
    """Gives a function that predicts the latency of smaller forms of a network, milliseconds, without building them.

    Raises:
        RecipeError: no such backend.
        BackendMissing: its package is not installed.
    """
    table = table or OperatorTable(backend)
    factor = network_ms(network, backend) / table.graph_ms(network.graph)
    return lambda graph: factor * table.graph_ms(graph)


def cache_folder() -> Path:
    """Gives the folder of what is kept between runs: ``yoloslim`` in ``XDG_CACHE_HOME``, else in ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "yoloslim"


def _in_blocks(op: Op, shape: Shape, outputs: int) -> tuple[Op, Shape]:
    """The operator with its channels rounded up to whole blocks, where it can have so many."""
    inside, outside = (_blocks(count) for count in (shape.channels, outputs))
    rounded, wider = resized(op, [(shape.channels, inside)], outside), shape._replace(channels=inside)
    try:
        output_shape(rounded, [wider])
    except ValueError:
        return op, shape
    return rounded, wider


def _blocks(channels: int) -> int:
    return channels if channels < _BLOCK else -(-channels // _BLOCK) * _BLOCK


def _exported_ms(write: Callable[[Path], None], shape: Shape, backend: BackendName) -> float:
    picture = np.zeros((1, *shape), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "measured.onnx"
        write(path)
        run = BACKENDS[backend](path)
        return shortest_ms(lambda: run(picture))


def _machine(backend: str) -> str:
    """What times depend on: the processor, its cores, the threads and the backend's version."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = torch.get_num_threads() if backend == "torch" else 0
    return f"{platform.node()} {platform.machine()} {cores} cores, {threads} threads, {metadata.version(backend)}"


def _read(path: Path) -> dict[str, dict[str, float]]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}  # measured again
    return found if isinstance(found, dict) else {}
