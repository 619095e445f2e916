"""The detector that the user's options ask for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from yoloslim.cli.session import Session

if TYPE_CHECKING:
    from yoloslim.boxes.detect import DetectSettings
    from yoloslim.boxes.placement import ResizeMode
    from yoloslim.runtime.detector import Detector
    from yoloslim.runtime.load import Model


def load_model(weights: Path, cfg: str, size: str, resize: ResizeMode | None) -> Model:
    """Gives the model of the weights, for pictures of the size and fit that the user set; tells its notes."""
    from yoloslim.cli.inputs import optional_graph, sized
    from yoloslim.cli.reports import tell_notes
    from yoloslim.runtime.load import load

    model = load(weights, optional_graph(cfg))
    tell_notes(model.notes)
    model.network.graph = sized(model.graph, size)
    return replace(model, resize=resize or model.resize)


def detector_of(session: Session, model: Model, settings: DetectSettings) -> Detector:
    """Gives a detector that runs the model with torch on the user's device.

    Raises:
        RecipeError: the network has no heads, or reads something else than colour pictures.
    """
    from yoloslim.errors import RecipeError
    from yoloslim.runtime.detector import Detector
    from yoloslim.runtime.torch_backend import TorchBackend, choose_device

    shape = model.graph.input_shape
    yolos = tuple(yolo for _, yolo in model.graph.heads)
    if not yolos:
        raise RecipeError("this network has no [yolo] layer, so it finds no boxes")
    if shape.channels != 3:
        raise RecipeError(f"pictures have 3 channels, this network reads {shape.channels}")
    backend = TorchBackend(model.network, choose_device(session.device))
    return Detector(backend, yolos, (shape.width, shape.height), model.resize, settings)
