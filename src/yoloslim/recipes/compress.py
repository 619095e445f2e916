"""The whole road: train, train sparse, prune, fine-tune, export, measure; every stage kept, none done twice."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from yoloslim.boxes.detect import DetectSettings
from yoloslim.compress.pruning.plan import save_plan
from yoloslim.engine.settings import TrainSettings
from yoloslim.engine.task import Hooks
from yoloslim.errors import RecipeError
from yoloslim.files import remove_leftovers, write_atomically
from yoloslim.graph.cost import Cost, total_cost
from yoloslim.graph.graph import Graph
from yoloslim.graph.lanes import trace_lanes
from yoloslim.recipes.distill import distiller_of, model_teacher, teachers_of
from yoloslim.recipes.evaluate import evaluate_on
from yoloslim.recipes.evidence import Pictures, accuracy_on, evidence_of
from yoloslim.recipes.export import Batch, Parity, export, export_openvino, random_batch
from yoloslim.recipes.export_fpga import export_fpga
from yoloslim.recipes.latency import shortest_ms
from yoloslim.recipes.material import Material, material_of, sized
from yoloslim.recipes.pictures import picture_batches
from yoloslim.recipes.provenance import recipe_tables, write_recipe
from yoloslim.recipes.prune import needs_pictures, plan_of, planned, prune, pruned_model, round_table
from yoloslim.recipes.quantize import Quantized, placement_of, quantize
from yoloslim.recipes.quantized_training import following
from yoloslim.recipes.read import read_tables
from yoloslim.recipes.result_page import Stage, write_result_page
from yoloslim.recipes.schema import DistillTable, Format, QuantizeTable, Recipe
from yoloslim.recipes.sparsity import Sparsity, check_penalty
from yoloslim.recipes.start import starting_model
from yoloslim.recipes.train import RECIPE, measure, tell, train_model
from yoloslim.report.quantization_plots import write_quantization_plots
from yoloslim.runtime.artefact import RUN_BY, RunBy, files_of, open_artefact
from yoloslim.runtime.detector import Backend
from yoloslim.runtime.load import Model, load, with_network
from yoloslim.runtime.save import checkpoint_of, save_all
from yoloslim.runtime.torch_backend import TorchBackend, choose_device
from yoloslim.weights.checkpoint import save_checkpoint

_log = logging.getLogger(__name__)

_FILES: dict[Format, str] = {"onnx": "{}.onnx", "openvino": "{}.xml", "fpga": "{}/index.json"}
"""What is run, of a recipe's name."""

_MAY_CHANGE = ("out", "device")  # of a recipe whose run goes on


@dataclass(frozen=True, slots=True)
class Watch:
    """What is told while it runs.

    Attributes:
        stage: called with a stage's name and whether its result was there already.
        hooks: gives the training hooks of a stage, for a progress bar.
    """

    stage: Callable[[str, bool], None] = lambda name, found: None
    hooks: Callable[[str, TrainSettings], Hooks] = lambda name, settings: Hooks()


def compress(recipe: Recipe, graph: Graph, watch: Watch | None = None) -> tuple[Stage, ...]:
    """Runs every stage of a recipe and gives their figures; stages that are done are not done again.

    Args:
        graph: the network that the recipe names, at the size of its cfg.

    Raises:
        YoloslimError: something in the recipe cannot be honoured; told before anything runs where it can be.
    """
    return _Road(recipe, graph, watch or Watch()).run()


def check_inputs(recipe: Recipe, graph: Graph) -> Model:
    """Gives the model that a recipe starts from, with its data found: everything that can be wrong before work begins.

    Raises:
        YoloslimError: a file is missing or does not fit, the size does not suit the network, or no such device.
    """
    choose_device(recipe.device)
    material = material_of(recipe, graph)
    names = material.training.names
    if recipe.sparsity.epochs:
        check_penalty(graph, recipe.sparsity, recipe.train)
    model = starting_model(sized(graph, recipe.data), recipe.model.weights, names, recipe.seed)
    if recipe.distill is not None:
        teachers = teachers_of(recipe.distill, model.graph, names)
        distiller_of(model, recipe.distill, teachers, material.loss, recipe.finetune)
    if recipe.quantize is not None:
        placement_of(recipe.quantize, model.graph)
    if not needs_pictures(recipe.prune):  # a target that cannot be reached is not worth training for
        planned(model.network, recipe.prune)
    return model


class _Road:
    def __init__(self, recipe: Recipe, graph: Graph, watch: Watch) -> None:
        self.recipe, self.watch = recipe, watch
        self.folder = Path(recipe.out or f"runs/compress/{recipe.name}")
        self.material = material_of(recipe, graph)
        start = check_inputs(recipe, graph)
        for note in start.notes:
            _log.info("%s", note)
        self.model = replace(start, resize=recipe.data.resize)
        _check_same_recipe(recipe, self.folder)  # last: a recipe that cannot start leaves nothing behind
        remove_leftovers(self.folder)
        self.stages: list[Stage] = []

    def run(self) -> tuple[Stage, ...]:
        recipe = self.recipe
        sparse = replace(
            recipe.train,
            epochs=recipe.sparsity.epochs,
            learning_rate=recipe.sparsity.learning_rate or recipe.train.learning_rate,
        )
        self._do("dense", lambda folder: self._train(folder, "dense", recipe.train))
        if recipe.sparsity.epochs:
            self._do("sparse", lambda folder: self._train(folder, "sparse", sparse))
        self._do_rounds()
        if recipe.finetune.epochs:
            self._do("finetuned", lambda folder: self._train(folder, "finetuned", recipe.finetune))
        if recipe.quantize is not None:
            self._do("quantized", self._quantize)
        runs = _exports(recipe)
        for kind, backend in runs:
            name = "exported" if len(runs) == 1 else f"exported-{kind}-{backend}"
            self._do(name, partial(self._export, name=name, kind=kind, backend=backend))
        write_result_page(self.folder / "report.html", recipe, self.stages, self.material.validation)
        return tuple(self.stages)

    def _do_rounds(self) -> None:
        """Prunes; where there are several rounds, with a part of the fine-tuning between them."""
        rounds, finetune = self.recipe.prune.rounds, self.recipe.finetune
        short = replace(finetune, epochs=max(1, finetune.epochs // rounds)) if rounds > 1 else finetune
        for number in range(rounds - 1):
            pruned, tuned = f"pruned-{number + 1}", f"finetuned-{number + 1}"
            self._do(pruned, lambda folder, name=pruned, number=number: self._prune(folder, name, number))  # type: ignore[misc]
            self._do(tuned, lambda folder, name=tuned: self._train(folder, name, short))  # type: ignore[misc]
        self._do("pruned", lambda folder: self._prune(folder, "pruned", rounds - 1))

    def _do(self, name: str, work: Callable[[Path], Stage]) -> None:
        folder = self.folder / name
        record = folder / "stage.json"
        self.watch.stage(name, record.exists())
        if record.exists():
            stage = _read_stage(record)
        else:
            stage = work(folder)
            _write_json(record, asdict(stage))
        if Path(stage.path).suffix == ".safetensors":
            self.model = load(Path(stage.path), None)
        self.stages.append(stage)
        _write_json(self.folder / "summary.json", {"schema": 1, "stages": [asdict(s) for s in self.stages]})

    def _train(self, folder: Path, name: str, settings: TrainSettings) -> Stage:
        if settings.epochs:
            sparsity = Sparsity(self.recipe.sparsity, self.recipe.prune) if name == "sparse" else None
            distill = self.recipe.distill if name.startswith("finetuned") else None
            model = self._trained(folder, name, settings, sparsity=sparsity, distill=distill)
        else:
            model = self.model
        return self._kept(model, folder, name)

    def _trained(
        self,
        folder: Path,
        name: str,
        settings: TrainSettings,
        *,
        sparsity: Sparsity | None = None,
        distill: DistillTable | None = None,
        quantize: QuantizeTable | None = None,
    ) -> Model:
        material = self._with_teachers(distill, settings) if distill else self.material
        model, _, problems = train_model(
            self.model,
            material,
            settings,
            folder,
            device=self.recipe.device,
            sparsity=sparsity,
            distill=distill,
            quantize=quantize,
            watch=self.watch.hooks(name, settings),
        )
        tell(problems)
        return model

    def _with_teachers(self, table: DistillTable, settings: TrainSettings) -> Material:
        """The material with the teachers that the recipe names, else with the dense network."""
        graph, names = self.model.graph, self.material.training.names
        teachers = teachers_of(table, graph, names, settings.precision)
        if not teachers:
            dense = load(Path(self.stages[0].path), None)
            teachers = (model_teacher(dense, "dense", graph, settings.precision),)
        return replace(self.material, teachers=teachers)

    def _prune(self, folder: Path, name: str, number: int) -> Stage:
        dense = Cost(self.stages[0].params, macs=self.stages[0].macs)
        table = round_table(self.recipe.prune, number, self.model.graph, dense)
        network, material = self.model.network, self.material
        pictures = Pictures(
            material.training, material.validation, table.pictures, self.recipe.device, loss=material.loss
        )
        evidence = evidence_of(self.model, pictures)
        found = plan_of(network, table, seed=self.recipe.seed, evidence=evidence)
        if found.note:
            _log.warning("%s", found.note)
        shape = self.model.graph.input_shape
        batches = picture_batches(material.training, table.recalibrate, shape, self.model.resize, 8)
        pruned = prune(network, found.plan, folding=table.fold, batches=batches)
        save_plan(found.plan, self.model.graph, trace_lanes(self.model.graph), folder)
        return self._kept(pruned_model(self.model, pruned.network, found.plan), folder, name)

    def _quantize(self, folder: Path) -> Stage:
        table = self.recipe.quantize
        assert table is not None
        if table.mode == "qat":
            settings = following(self.recipe.train, table)
            model = self._trained(folder, "quantized", settings, distill=self.recipe.distill, quantize=table)
        else:
            found = self._rounded(table)
            write_quantization_plots(folder, found.layers)
            model = with_network(self.model, found.network)
        path = folder / f"{self.recipe.name}.safetensors"
        save_checkpoint(path, checkpoint_of(replace(model, resize=self.recipe.data.resize)))
        backend = TorchBackend(model.network, choose_device(self.recipe.device))
        figures = measure(model, self.material, self.recipe.device)
        return self._stage("quantized", model, path, (figures["map50"], figures["map"]), backend)

    def _rounded(self, table: QuantizeTable) -> Quantized:
        material, shape = self.material, self.model.graph.input_shape
        batches = list(picture_batches(material.training, table.pictures, shape, self.model.resize, 8))
        pictures = Pictures(material.training, material.validation, table.pictures, self.recipe.device)
        accuracy = accuracy_on(self.model, material.validation, pictures)
        return quantize(self.model.network, table, batches, accuracy)

    def _kept(self, model: Model, folder: Path, name: str) -> Stage:
        """Writes a model as cfg, weights and checkpoint, and measures it."""
        model = replace(model, resize=self.recipe.data.resize, names=self.material.training.names)
        *_, checkpoint = save_all(model, folder, self.recipe.name)
        backend = TorchBackend(model.network, choose_device(self.recipe.device))
        figures = measure(model, self.material, self.recipe.device)
        return self._stage(name, model, checkpoint, (figures["map50"], figures["map"]), backend)

    def _export(self, folder: Path, name: str, kind: Format, backend: RunBy) -> Stage:
        path = folder / _FILES[kind].format(self.recipe.name)
        shape = self.model.graph.input_shape
        write = {"onnx": export, "openvino": export_openvino, "fpga": _export_fpga}[kind]
        write(self.model, path, [random_batch(shape, self.recipe.seed)])
        artefact = open_artefact(path, backend=backend)
        detector = artefact.detector(DetectSettings(conf=0.001))
        result, _ = evaluate_on(detector, self.material.validation)
        return self._stage(name, self.model, path, (result.map50, result.map), artefact.backend, backend)

    def _stage(
        self,
        name: str,
        model: Model,
        path: Path,
        accuracy: tuple[float, float],
        backend: Backend,
        kind: RunBy | Literal["torch"] = "torch",
    ) -> Stage:
        cost = total_cost(model.graph)
        ms = latency_ms(backend, model.graph)
        size_bytes = sum(file.stat().st_size for file in files_of(path))
        return Stage(name, cost.params, cost.macs, size_bytes, *accuracy, ms, kind, str(path))


def _export_fpga(model: Model, index: Path, batches: Sequence[Batch]) -> Parity:
    """Writes the folder of an index, in place of what an interrupted run left."""
    shutil.rmtree(index.parent, ignore_errors=True)
    return export_fpga(model, index.parent, batches)


def _exports(recipe: Recipe) -> list[tuple[Format, RunBy]]:
    """Gives which files are made, each with what runs it."""
    wanted = recipe.measure.backends
    able = {kind: RUN_BY[Path(_FILES[kind]).suffix] for kind in recipe.export.formats}
    return [(kind, name) for kind, names in able.items() for name in [n for n in names if n in wanted] or names[:1]]


def latency_ms(backend: Backend, graph: Graph) -> float:
    """Gives the shortest time of a backend for one picture, network alone, milliseconds."""
    batch = np.zeros((1, *graph.input_shape), np.float32)
    return shortest_ms(lambda: backend(batch))


def _read_stage(record: Path) -> Stage:
    try:
        return Stage(**json.loads(record.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise RecipeError(f"{record}: cannot be read ({error}); remove its folder to do the stage again") from error


def _check_same_recipe(recipe: Recipe, folder: Path) -> None:
    """Writes the recipe beside its results; a folder of another recipe is refused, so that nothing is mixed.

    Raises:
        RecipeError: the folder holds the results of another recipe; names what differs.
    """
    path = folder / RECIPE
    now = recipe_tables(recipe)
    if not any(folder.glob("*/stage.json")) and not any(folder.glob("*/state.safetensors")):
        write_recipe(recipe, path)
        return
    try:
        before = read_tables(path)
    except RecipeError as error:
        raise RecipeError(f"{error}; set another out, or remove {folder}") from error
    changed = [key for key in now if now[key] != before.get(key) and key not in _MAY_CHANGE]
    if changed:
        raise RecipeError(f"{folder} holds the run of another recipe ({', '.join(changed)} changed); set another out")


def _write_json(path: Path, record: Any) -> None:
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n")
