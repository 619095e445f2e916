"""What a compression gave, as rows and as a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from yoloslim.boxes.detect import DetectSettings
from yoloslim.boxes.detections import Detections
from yoloslim.data.pictures import Picture
from yoloslim.recipes.material import Material
from yoloslim.recipes.schema import Recipe
from yoloslim.report.drawing import draw
from yoloslim.report.page import Pair, write_page
from yoloslim.runtime.artefact import is_artefact, open_artefact
from yoloslim.runtime.detector import Detector
from yoloslim.runtime.load import load
from yoloslim.runtime.torch_backend import TorchBackend, choose_device

_PICTURES = 10  # side by side in the report
_SHOWN = 0.25  # smallest score of a box in these
_SHOWN_PX = 640  # side that small pictures are enlarged to


@dataclass(frozen=True, slots=True)
class Stage:
    """What one stage gave.

    Attributes:
        bytes: of the file.
        map50: on the validation pictures, 0..1.
        latency_ms: median of single pictures, network alone, by ``backend`` on this machine.
        path: the checkpoint or artefact.
    """

    name: str
    params: int
    macs: int
    bytes: int
    map50: float
    map: float
    latency_ms: float
    backend: str
    path: str


def write_result_page(folder: Path, recipe: Recipe, stages: Sequence[Stage], material: Material) -> None:
    """Writes ``report.html``: the table, AP over the epochs, pictures with boxes of the first and the last stage."""
    curves = {}
    for stage in stages:
        results = Path(stage.path).parent / "results.json"
        if results.exists():
            curves[stage.name] = json.loads(results.read_text())
    detectors = [detector_of(Path(stage.path), recipe) for stage in (stages[0], stages[-1])]
    pairs = []
    for loaded in islice((s for s in material.validation if s.picture is not None), _PICTURES):
        assert loaded.picture is not None
        drawn = [_drawn(loaded.picture, found([loaded.picture])[0], material.validation.names) for found in detectors]
        pairs.append(Pair(loaded.sample.path.name, *drawn))
    rows, plots = [asdict(stage) for stage in stages], sorted((folder / "quantized").glob("*.png"))
    write_page(folder / "report.html", recipe.name, rows, curves, pairs, plots=plots)


def _drawn(picture: Picture, found: Detections, names: Sequence[str]) -> Picture:
    """Draws on an enlarged copy of a small picture, so that labels do not cover it."""
    factor = max(1, round(_SHOWN_PX / max(picture.shape[:2])))
    enlarged = np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC), np.uint8)
    return draw(enlarged, replace(found, boxes=found.boxes * factor), names)


def detector_of(path: Path, recipe: Recipe) -> Detector:
    """Gives a detector of a stage's checkpoint or artefact, for showing."""
    settings = DetectSettings(conf=_SHOWN)
    if is_artefact(path):
        return open_artefact(path).detector(settings)
    model = load(path, None)
    shape = model.graph.input_shape
    yolos = tuple(yolo for _, yolo in model.graph.heads)
    backend = TorchBackend(model.network, choose_device(recipe.device))
    return Detector(backend, yolos, (shape.width, shape.height), model.resize, settings, channels=shape.channels)
