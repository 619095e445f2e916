"""Exported files, opened to run without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from yoloslim.boxes.detect import DetectSettings
from yoloslim.boxes.placement import ResizeMode
from yoloslim.errors import WeightsError
from yoloslim.runtime.detector import Backend, Detector
from yoloslim.runtime.onnx_backend import OnnxBackend
from yoloslim.weights.description import Description, from_metadata

ARTEFACT_SUFFIXES = (".onnx",)


class Artefact(NamedTuple):
    """An exported network.

    Attributes:
        backend: computes the head maps.
        description: what the file says about it.
    """

    backend: Backend
    description: Description

    def detector(self, settings: DetectSettings, resize: ResizeMode | None = None) -> Detector:
        """Gives a detector that runs the artefact; ``resize`` is the file's unless given."""
        yolos = tuple(yolo for _, yolo in self.description.graph.heads)
        description, channels = self.description, self.description.graph.input_shape.channels
        resize = resize or description.resize
        return Detector(self.backend, yolos, description.size, resize, settings, channels=channels)


def is_artefact(path: Path) -> bool:
    """Whether a path names an exported file, by its suffix."""
    return path.suffix.lower() in ARTEFACT_SUFFIXES


def open_artefact(path: Path, *, threads: int = 0) -> Artefact:
    """Gives the network of an exported file, ready to run.

    Args:
        threads: of one operator; 0 for as many as there are cores.

    Raises:
        BackendMissing: the package that runs such files is not installed.
        WeightsError: the file cannot be read, is damaged, or was not written by yoloslim.
        CfgError: its cfg cannot be honoured.
    """
    backend = OnnxBackend(path, threads=threads)
    description = from_metadata(backend.metadata, path)
    expected = description.head_shapes
    if backend.outputs != expected or backend.input_shape != tuple(description.graph.input_shape):
        text = f"its cfg gives the heads {_text(expected)}, the file has {_text(backend.outputs)}"
        raise WeightsError(f"{path}: {text}; export it again")
    return Artefact(backend, description)


def _text(heads: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in heads.items())
