"""Exported files, opened to run without torch."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from yoloslim.boxes.detect import DetectSettings
from yoloslim.boxes.placement import ResizeMode
from yoloslim.errors import RecipeError, WeightsError
from yoloslim.runtime.detector import Detector
from yoloslim.runtime.exported import ExportedBackend
from yoloslim.runtime.fpga_folder import FpgaFolderBackend
from yoloslim.runtime.onnx_backend import OnnxBackend
from yoloslim.runtime.openvino_backend import OpenVinoBackend
from yoloslim.weights.description import Description, from_metadata

BackendName = Literal["onnxruntime", "openvino"]
"""Programs that run exported files."""

RunBy = BackendName | Literal["integer"]
"""What runs a file: a program, or whole numbers on numpy."""

BACKENDS: Mapping[BackendName, Callable[..., ExportedBackend]] = {
    "onnxruntime": OnnxBackend,
    "openvino": OpenVinoBackend,
}

RUN_BY: Mapping[str, tuple[RunBy, ...]] = {
    ".onnx": ("onnxruntime", "openvino"),
    ".xml": ("openvino",),
    ".json": ("integer",),
}
"""What runs a file, by its suffix; the first is the default."""

_WEIGHTS_BESIDE = {".xml": ".bin"}
_QUANTIZING = {
    ".onnx": b"\x22\x10DequantizeLinear",  # NodeProto.op_type: its tag, its length, its text
    ".xml": b'type="FakeQuantize"',
    ".json": b'"sums"',
}


class Artefact(NamedTuple):
    """An exported network.

    Attributes:
        backend: computes the head maps.
        description: what the file says about it.
        backend_name: of the backend.
    """

    backend: ExportedBackend
    description: Description
    backend_name: RunBy

    def detector(self, settings: DetectSettings, resize: ResizeMode | None = None) -> Detector:
        """Gives a detector that runs the artefact; ``resize`` is the file's unless given."""
        yolos = tuple(yolo for _, yolo in self.description.graph.heads)
        description, channels = self.description, self.description.graph.input_shape.channels
        resize = resize or description.resize
        return Detector(self.backend, yolos, description.size, resize, settings, channels=channels)


def is_artefact(path: Path) -> bool:
    """Whether a path names an exported file, by its suffix."""
    return path.suffix.lower() in RUN_BY


def files_of(path: Path) -> tuple[Path, ...]:
    """Gives the files that an exported network consists of: the named one, and those of its weights."""
    if path.suffix.lower() == ".json":
        return (path, *sorted((path.parent / "layers").iterdir()))
    beside = _WEIGHTS_BESIDE.get(path.suffix.lower())
    return (path, path.with_suffix(beside)) if beside else (path,)


def is_quantized(path: Path) -> bool:
    """Whether an exported file computes on integers: an ONNX file has DequantizeLinear, an .xml FakeQuantize.

    An index of a folder for an FPGA says what sums become.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(_QUANTIZING[path.suffix.lower()]) >= 0


def backend_of(path: Path, wanted: RunBy | None = None) -> RunBy:
    """Gives what runs an exported file: the wanted backend, or its first where none is.

    Raises:
        RecipeError: the wanted backend cannot run such files.
    """
    able = RUN_BY[path.suffix.lower()]
    if wanted is not None and wanted not in able:
        raise RecipeError(f"--backend {wanted}: {path} is run by {' or '.join(able)}; leave --backend out")
    return wanted or able[0]


def open_artefact(path: Path, *, backend: RunBy | None = None, threads: int = 0) -> Artefact:
    """Gives the network of an exported file, ready to run.

    Args:
        backend: what runs it; the first that can when None.
        threads: of one operator; 0 for as many as there are cores.

    Raises:
        BackendMissing: the package that runs such files is not installed.
        RecipeError: the backend cannot run such files.
        WeightsError: the file cannot be read, is damaged, or was not written by yoloslim.
        CfgError: its cfg cannot be honoured.
    """
    name = backend_of(path, backend)
    opened = FpgaFolderBackend(path) if name == "integer" else BACKENDS[name](path, threads=threads)
    description = from_metadata(opened.metadata, path)
    expected = description.head_shapes
    if opened.outputs != expected or opened.input_shape != tuple(description.graph.input_shape):
        text = f"its cfg gives the heads {_text(expected)}, the file has {_text(opened.outputs)}"
        raise WeightsError(f"{path}: {text}; export it again")
    return Artefact(opened, description, name)


def _text(heads: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in heads.items())
