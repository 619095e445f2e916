"""One training as a workflow: a model, a data set and settings in, a run folder out."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from yoloslim.boxes.detect import DetectSettings
from yoloslim.boxes.placement import ResizeMode
from yoloslim.data.annotations import Problem
from yoloslim.data.augment import AugmentSettings
from yoloslim.data.batches import LoaderSettings
from yoloslim.data.dataset import Dataset
from yoloslim.data.joint import JointDataset
from yoloslim.data.layout import Layout
from yoloslim.data.loader import TrainingLoader, TrainingSet, training_loader
from yoloslim.data.sampling import SamplingSettings
from yoloslim.engine.settings import TrainSettings
from yoloslim.engine.train import Batch, Hooks, Task, Trained, train
from yoloslim.graph.graph import Graph
from yoloslim.graph.shapes import largest_stride
from yoloslim.graph.to_cfg import to_cfg
from yoloslim.losses.detection import LossSettings, LossTerms, detection_loss
from yoloslim.nn.network import Network
from yoloslim.recipes.evaluate import evaluate_on
from yoloslim.recipes.sparsity import Sparsity, sparsity_hooks
from yoloslim.runtime.detector import Detector
from yoloslim.runtime.load import Model, with_network
from yoloslim.runtime.save import checkpoint_of
from yoloslim.runtime.torch_backend import TorchBackend, choose_device
from yoloslim.weights.checkpoint import save_checkpoint


@dataclass(frozen=True, slots=True)
class Material:
    """What a network learns from and is measured on.

    Attributes:
        training: pictures to train on.
        validation: pictures to measure on.
        resize: how pictures are fitted.
        augment: how training pictures are varied.
        loss: weights of the loss.
        sampling: how often training pictures come.
        loader: how training pictures are put together.
    """

    training: Dataset | JointDataset
    validation: Dataset | JointDataset
    resize: ResizeMode
    augment: AugmentSettings
    loss: LossSettings
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    loader: LoaderSettings = field(default_factory=LoaderSettings)


def train_model(
    model: Model,
    material: Material,
    settings: TrainSettings,
    folder: Path,
    *,
    device: str = "auto",
    sparsity: Sparsity | None = None,
    watch: Hooks | None = None,
) -> tuple[Model, Trained, tuple[Problem, ...]]:
    """Trains a model, sparse where asked for, and gives it with its figures and what was wrong with the pictures.

    The folder holds what ``engine.train`` leaves there; a training that was interrupted goes on.

    Raises:
        DataError: no picture can be trained on.
        RecipeError: the folder holds another training, or the loss is not finite.
    """
    model = with_network(model, copy.deepcopy(model.network))  # training changes a network in place
    graph = model.graph
    pictures = TrainingSet(
        material.training,
        layout_of(graph, material.resize),
        material.augment,
        sampling=material.sampling,
        loader=material.loader,
        seed=settings.seed,
    )
    loader = training_loader(pictures, settings.batch, workers=settings.workers)
    hooks = watch or Hooks()
    if sparsity is not None:
        hooks = sparsity_hooks(model.network, sparsity, settings, len(loader), hooks)
    task = _task(model, material, loader, folder, (settings, sparsity, device))
    trained = train(model.network, task, settings, device=device, hooks=hooks)
    return with_network(model, trained.network), trained, pictures.problems


def layout_of(graph: Graph, resize: ResizeMode) -> Layout:
    """Gives what a network's input looks like, with pictures fitted this way."""
    shape = graph.input_shape
    return Layout((shape.width, shape.height), resize, shape.channels, largest_stride(graph))


def measure(model: Model, material: Material, device: str) -> Mapping[str, float]:
    """Gives map50, map, precision, recall and f1 of a model on the validation pictures."""
    yolos = tuple(yolo for _, yolo in model.graph.heads)
    backend = TorchBackend(model.network, choose_device(device))
    layout = layout_of(model.graph, material.resize)
    settings = DetectSettings(conf=0.001)
    stride = layout.stride if material.loader.shape == "rect" else 0
    detector = Detector(backend, yolos, layout.size, layout.resize, settings, channels=layout.channels, stride=stride)
    result, _ = evaluate_on(detector, material.validation)
    return {key: getattr(result, key) for key in ("map50", "map", "precision", "recall", "f1")}


def _task(model: Model, material: Material, loader: TrainingLoader, folder: Path, about: Sequence[Any]) -> Task:
    yolos = [yolo for _, yolo in model.graph.heads]
    described = replace(model, resize=material.resize)

    def loss(head_maps: Sequence[Tensor], batch: Batch) -> LossTerms:
        device, (height, width) = head_maps[0].device, batch.images.shape[2:]
        unlabelled = batch.unlabelled.to(device) if batch.unlabelled.any() else None
        targets = batch.targets.to(device)
        return detection_loss(head_maps, targets, yolos, (width, height), material.loss, unlabelled=unlabelled)

    def write(network: Network, path: Path) -> None:
        save_checkpoint(path, checkpoint_of(with_network(described, network)))

    def evaluate(network: Network) -> Mapping[str, float]:
        return measure(with_network(model, network), material, about[2])

    return Task(loader.batches, len(loader), loss, evaluate, write, folder, _identity(model, material, about))


def _identity(model: Model, material: Material, about: Sequence[Any]) -> str:
    """A digest of what decides the outcome; a run of another digest is not continued."""
    settings, sparsity, _ = about
    parts = {
        "cfg": to_cfg(model.graph),
        "settings": asdict(settings),
        "augment": asdict(material.augment),
        "loss": asdict(material.loss),
        "sampling": asdict(material.sampling),
        "loader": asdict(replace(material.loader, cache="off", cache_gb=0.0)),  # what is kept decides nothing
        "resize": material.resize,
        "sparsity": asdict(sparsity) if sparsity else None,
        "pictures": [str(sample.path) for sample in material.training.samples],
    }
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()
