"""One training as a workflow: a model, a data set and settings in, a run folder out."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from torch import Tensor

from yoloslim.boxes.detect import DetectSettings
from yoloslim.boxes.placement import ResizeMode
from yoloslim.compress.distillation.distiller import Distiller
from yoloslim.compress.quantization.network import QuantizedNetwork
from yoloslim.data.annotations import Problem
from yoloslim.data.batches import Share
from yoloslim.data.fingerprints import fingerprints_of, with_fingerprints
from yoloslim.data.layout import Layout
from yoloslim.data.loader import TrainingLoader, TrainingSet, training_loader
from yoloslim.engine.evaluate import Evaluation
from yoloslim.engine.processes import started_processes
from yoloslim.engine.settings import TrainSettings
from yoloslim.engine.state import STATE, check_identity, load_state_file
from yoloslim.engine.task import Batch, Hooks, Task, Trained
from yoloslim.engine.train import train
from yoloslim.graph.graph import Graph
from yoloslim.graph.shapes import largest_stride
from yoloslim.graph.to_cfg import to_cfg
from yoloslim.losses.class_weights import with_class_weights
from yoloslim.losses.detection import LossTerms, detection_loss
from yoloslim.nn.network import Network
from yoloslim.recipes.distill import distiller_of, teachers_of
from yoloslim.recipes.evaluate import evaluate_on
from yoloslim.recipes.evidence import Pictures, accuracy_on
from yoloslim.recipes.first_batches import with_sheets
from yoloslim.recipes.material import Material, material_of, sized
from yoloslim.recipes.pictures import picture_batches
from yoloslim.recipes.provenance import write_recipe
from yoloslim.recipes.quantize import placement_of
from yoloslim.recipes.quantized_training import check_start, first_pictures, quantization_hooks, trainable
from yoloslim.recipes.schema import DistillTable, QuantizeTable, SparsityTable, TrainRecipe
from yoloslim.recipes.sparse_progress import Judge, pace_of, told_pace
from yoloslim.recipes.sparsity import Sparsity, check_penalty, sparsity_hooks
from yoloslim.recipes.start import starting_model
from yoloslim.report.accuracy_plots import CONFUSION, write_accuracy_plots
from yoloslim.runtime.detector import Detector
from yoloslim.runtime.load import Model, with_network
from yoloslim.runtime.save import checkpoint_of
from yoloslim.runtime.torch_backend import TorchBackend, choose_device
from yoloslim.weights.checkpoint import save_checkpoint

_log = logging.getLogger(__name__)

ACCURACIES = ("map50", "map", "precision", "recall", "f1")
"""What is measured on validation pictures after an epoch."""

RECIPE = "recipe.toml"
"""A run's recipe in its folder."""


PLOTS = "plots"
"""A run's pictures in its folder."""


def run_training(recipe: TrainRecipe, model: Model, material: Material, folder: Path, watch: Hooks) -> Trained:
    """Runs the training of a recipe in a folder, which keeps the recipe beside the results.

    Args:
        model: what it starts from; like ``material``, made by ``starting_point``.
        folder: of the run; a training that was interrupted there goes on.

    Raises:
        RecipeError: the folder holds another training, which stays as it is.
        YoloslimError: something that only shows while it runs.
    """
    written_out = rehearsed(recipe, model, material, folder)
    if started_processes().rank == 0:
        write_recipe(written_out, folder / RECIPE)
    _, trained, problems = train_model(
        model,
        material,
        recipe.train,
        folder,
        device=recipe.device,
        sparsity=_sparsity_of(recipe),
        distill=recipe.distill,
        quantize=recipe.quantize,
        watch=watch,
    )
    tell(problems)
    return trained


def rehearsed(recipe: TrainRecipe, model: Model, material: Material, folder: Path) -> TrainRecipe:
    """Gives the recipe as ``run_training`` would write it, without training.

    Raises:
        RecipeError: the folder holds another training.
        WeightsError: its state is damaged.
    """
    _tell_notes(model)
    if (folder / STATE).exists():
        material = _weighted(material, _training_set(model, material, recipe.train))
        identity = _identity(model, material, (recipe.train, _sparsity_of(recipe), recipe.distill, recipe.quantize))
        check_identity(load_state_file(folder / STATE), identity, folder)
    return settled(recipe, material)


def _tell_notes(model: Model) -> None:
    for note in model.notes:
        _log.info("%s", note)


def _sparsity_of(recipe: TrainRecipe) -> Sparsity | None:
    return Sparsity(recipe.sparsity, recipe.prune) if recipe.sparsity else None


def settled(recipe: TrainRecipe, material: Material) -> TrainRecipe:
    """Gives the recipe with the whole loss written out, whoever decided it."""
    return replace(recipe, loss=asdict(material.loss))


def starting_point(recipe: TrainRecipe, graph: Graph) -> tuple[Model, Material]:
    """Gives what a recipe starts from: everything that can be wrong before work begins.

    Args:
        graph: the network that the recipe names, at the size of its cfg.

    Raises:
        YoloslimError: a file is missing or does not fit, the size does not suit the network, or no such device.
    """
    choose_device(recipe.device)
    material, graph = material_of(recipe, graph), sized(graph, recipe.data)
    if recipe.sparsity is not None:
        check_penalty(graph, recipe.sparsity, recipe.train)
    if recipe.quantize is not None:
        placement_of(recipe.quantize, graph)
    model = starting_model(graph, recipe.model.weights, material.training.names, recipe.seed)
    if recipe.quantize is not None:
        check_start(model.network, recipe.quantize)
    if recipe.distill is None:
        return model, material
    teachers = teachers_of(recipe.distill, model.graph, material.training.names, recipe.train.precision)
    distiller_of(model, recipe.distill, teachers, material.loss, recipe.train)  # does it fit?
    return model, replace(material, teachers=teachers)


def tell(problems: Sequence[Problem]) -> None:
    """Logs what was wrong with training pictures, in one line."""
    if problems:
        _log.warning("%d problems of the training pictures; the first: %s", len(problems), problems[0])


def train_model(
    model: Model,
    material: Material,
    settings: TrainSettings,
    folder: Path,
    *,
    device: str = "auto",
    sparsity: Sparsity | None = None,
    distill: DistillTable | None = None,
    quantize: QuantizeTable | None = None,
    watch: Hooks | None = None,
) -> tuple[Model, Trained, tuple[Problem, ...]]:
    """Trains a model, sparse, taught or with rounding where asked for, and gives it, its figures, its pictures' faults.

    The folder holds what ``engine.train`` leaves there; a training that was interrupted goes on.

    Raises:
        DataError: no picture can be trained on.
        RecipeError: the folder holds another training, a teacher does not fit, or the loss is not finite.
    """
    model = with_network(model, _own_network(model, material, quantize))
    pictures = _training_set(model, material, settings)
    processes = started_processes()
    share = Share(processes.rank, processes.count)
    loader = training_loader(pictures, settings.batch, workers=settings.workers, share=share)
    material = _weighted(material, pictures)
    hooks = watch or Hooks()
    if sparsity is not None:
        watching = _sparse_judge(model, material, sparsity.table, settings, device, folder)
        hooks = sparsity_hooks(model.network, sparsity, settings, len(loader), hooks, watching)
    if isinstance(model.network, QuantizedNetwork):
        hooks = quantization_hooks(model.network, settings.epochs * settings.steps_per_epoch(len(loader)), hooks)
    judge = _Judge(model, material, device)
    described = cache(partial(_described, model, material))
    task = _task(judge, loader, folder, _identity(model, material, (settings, sparsity, distill, quantize)), described)
    if distill is not None:
        task = replace(task, extra=_told(distiller_of(model, distill, material.teachers, material.loss, settings)))
    trained = train(model.network, task, settings, device=device, hooks=hooks)
    if processes.rank == 0:
        _write_last_plots(judge, trained, folder / PLOTS)
        model = described()
    return with_network(model, trained.network), trained, pictures.problems


def _training_set(model: Model, material: Material, settings: TrainSettings) -> TrainingSet:
    return TrainingSet(
        material.training,
        layout_of(model.graph, material.resize),
        material.augment,
        sampling=material.sampling,
        loader=material.loader,
        seed=settings.seed,
    )


def _weighted(material: Material, pictures: TrainingSet) -> Material:
    """The material with its class weights counted out."""
    return replace(material, loss=with_class_weights(material.loss, pictures.class_counts()))


def _sparse_judge(
    model: Model, material: Material, table: SparsityTable, settings: TrainSettings, device: str, folder: Path
) -> Judge:
    """What measures a sparse training: the first validation pictures, about a tenth of the time."""
    count = min(table.pictures, len(material.validation))
    pictures = Pictures(material.training, material.validation, count, device)
    measured = replace(model, resize=material.resize)
    pace = pace_of(table, count, len(material.training))
    _log.info("%s", told_pace(pace, count))
    return Judge(accuracy_on(measured, material.validation, pictures), pace, settings.epochs, folder)


def _told(distiller: Distiller) -> Distiller:
    for note in distiller.notes:
        _log.info("%s", note)
    return distiller


def _own_network(model: Model, material: Material, quantize: QuantizeTable | None) -> Network:
    """A copy that training may change in place, with rounding where asked for."""
    if quantize is None:
        return copy.deepcopy(model.network)
    shape, count = model.graph.input_shape, first_pictures(quantize)
    batches = list(picture_batches(material.training, count, shape, material.resize, 8))
    return trainable(copy.deepcopy(model.network), quantize, batches)


def layout_of(graph: Graph, resize: ResizeMode) -> Layout:
    """Gives what a network's input looks like, with pictures fitted this way."""
    shape = graph.input_shape
    return Layout((shape.width, shape.height), resize, shape.channels, largest_stride(graph))


def measure(model: Model, material: Material, device: str) -> Mapping[str, float]:
    """Gives map50, map, precision, recall and f1 of a model on the validation pictures."""
    return _figures(evaluation_of(model, material, device))


def _figures(result: Evaluation) -> Mapping[str, float]:
    return {key: getattr(result, key) for key in ACCURACIES}


def evaluation_of(model: Model, material: Material, device: str) -> Evaluation:
    """Gives the accuracy of a model on the validation pictures."""
    yolos = tuple(yolo for _, yolo in model.graph.heads)
    backend = TorchBackend(model.network, choose_device(device))
    layout = layout_of(model.graph, material.resize)
    settings = DetectSettings(conf=0.001)
    stride = layout.stride if material.loader.shape == "rect" else 0
    detector = Detector(backend, yolos, layout.size, layout.resize, settings, channels=layout.channels, stride=stride)
    return evaluate_on(detector, material.validation)[0]


@dataclass(slots=True)
class _Judge:
    """Measures networks on the validation pictures, and remembers what it found last."""

    model: Model
    material: Material
    device: str
    last: Evaluation | None = None

    def __call__(self, network: Network) -> Mapping[str, float]:
        self.last = evaluation_of(with_network(self.model, network), self.material, self.device)
        return _figures(self.last)


def _described(model: Model, material: Material) -> Model:
    """Gives the model with what its training adds to what is known of it. Reads every training picture."""
    seen = fingerprints_of(sample.path for sample in material.training.samples)
    return replace(model, resize=material.resize, provenance=with_fingerprints(model.provenance, seen))


def _task(judge: _Judge, loader: TrainingLoader, folder: Path, identity: str, described: Callable[[], Model]) -> Task:
    """Gives the task; ``described`` is asked for at the end of an epoch, so that the start does not wait for it."""
    material = judge.material
    yolos = [yolo for _, yolo in judge.model.graph.heads]

    def batches(epoch: int, first: int) -> Iterator[Batch]:
        found = loader.batches(epoch, first)
        if epoch or started_processes().rank:
            return found
        return with_sheets(found, first, folder / PLOTS, material.training.names)

    def loss(head_maps: Sequence[Tensor], batch: Batch, progress: float) -> LossTerms:
        device, (height, width) = head_maps[0].device, batch.images.shape[2:]
        unlabelled = batch.unlabelled.to(device) if batch.unlabelled.any() else None
        targets, size = batch.targets.to(device), (width, height)
        return detection_loss(head_maps, targets, yolos, size, material.loss, unlabelled=unlabelled, progress=progress)

    def write(network: Network, path: Path) -> None:
        save_checkpoint(path, checkpoint_of(with_network(described(), network)))

    return Task(batches, len(loader), loss, judge, write, folder, identity, loader.names)


def _write_last_plots(judge: _Judge, trained: Trained, folder: Path) -> None:
    """Writes how well the trained network does, unless this training ended before and did so then."""
    if not trained.rows or (folder / CONFUSION).exists():
        return
    if judge.last is None or "map50" not in trained.rows[-1]:
        judge(trained.network)
    last = judge.last
    assert last is not None
    write_accuracy_plots(folder, judge.material.training.names, last.curves, last.confusion, last.at_conf)


def _identity(model: Model, material: Material, about: Sequence[Any]) -> str:
    """A digest of what decides the outcome; a run of another digest is not continued."""
    settings, sparsity, distill, quantize = about
    parts = {
        "cfg": to_cfg(model.graph),
        "settings": asdict(replace(settings, learning_rate=settings.highest_rate)),
        "augment": asdict(material.augment),
        "loss": asdict(material.loss),
        "sampling": asdict(material.sampling),
        "loader": asdict(replace(material.loader, cache="off", cache_gb=0.0)),  # what is kept decides nothing
        "resize": material.resize,
        "sparsity": asdict(sparsity) if sparsity else None,
        "distill": asdict(distill) if distill else None,
        "quantize": asdict(quantize) if quantize else None,
        "pictures": [str(sample.path) for sample in material.training.samples],
    }
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()
