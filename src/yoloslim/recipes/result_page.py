"""What a compression gave, as rows and as a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from yoloslim.boxes.detect import DetectSettings
from yoloslim.data.dataset import Dataset
from yoloslim.data.joint import JointDataset
from yoloslim.recipes.schema import Recipe
from yoloslim.report.drawing import draw_large
from yoloslim.report.page import Pair, write_page
from yoloslim.runtime.artefact import is_artefact, open_artefact
from yoloslim.runtime.detector import Detector
from yoloslim.runtime.load import load
from yoloslim.runtime.torch_backend import TorchBackend, choose_device

_PICTURES = 10  # side by side in the report
_SHOWN = 0.25  # smallest score of a box in these


@dataclass(frozen=True, slots=True)
class Stage:
    """What one stage gave.

    Attributes:
        bytes: of the file.
        map50: on the validation pictures, 0..1.
        latency_ms: the shortest of several single pictures, network alone, by ``backend`` on this machine.
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


def write_result_page(
    path: Path, recipe: Recipe, stages: Sequence[Stage], validation: Dataset | JointDataset | None = None
) -> None:
    """Writes the page: the table, AP over the epochs, plots of integers, pictures of the first and the last stage.

    Args:
        validation: where the pictures are from; without it there are none.
    """
    curves = {}
    for stage in stages:
        results = Path(stage.path).parent / "results.json"
        if results.exists():
            curves[stage.name] = json.loads(results.read_text())
    pairs = [] if validation is None else _pairs(recipe, stages, validation)
    plots = sorted((path.parent / "quantized").glob("*.png"))
    write_page(path, recipe.name, [asdict(stage) for stage in stages], curves, pairs, plots=plots)


def _pairs(recipe: Recipe, stages: Sequence[Stage], validation: Dataset | JointDataset) -> list[Pair]:
    detectors = [detector_of(Path(stage.path), recipe) for stage in (stages[0], stages[-1])]
    pairs = []
    for loaded in islice((s for s in validation if s.picture is not None), _PICTURES):
        assert loaded.picture is not None
        picture, names = loaded.picture, validation.names
        drawn = [draw_large(picture, found([picture])[0], names) for found in detectors]
        pairs.append(Pair(loaded.sample.path.name, *drawn))
    return pairs


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
