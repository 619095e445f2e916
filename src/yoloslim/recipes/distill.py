"""Distillation: who teaches, as a recipe names them, and the terms that they add to a training."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from yoloslim.compress.distillation.distiller import Distiller
from yoloslim.compress.distillation.maps import Aligned
from yoloslim.compress.distillation.methods import weighted_terms
from yoloslim.compress.distillation.teacher import FileTeacher, NetworkTeacher, Teacher
from yoloslim.compress.pruning.plan import cfg_digest
from yoloslim.engine.settings import Precision, TrainSettings
from yoloslim.errors import DataError, RecipeError, WeightsError
from yoloslim.graph.graph import Graph
from yoloslim.graph.input_size import at_size
from yoloslim.losses.settings import LossSettings
from yoloslim.recipes.schema import DistillTable
from yoloslim.runtime.artefact import is_artefact, open_artefact
from yoloslim.runtime.load import Model, load
from yoloslim.weights.files import open_weights
from yoloslim.weights.published import find_published, weights_file
from yoloslim.zoo.catalog import read_or_find

_PRECISIONS: Mapping[Precision, torch.dtype] = {
    "32-true": torch.float32,
    "bf16-mixed": torch.bfloat16,
    "16-mixed": torch.float16,
}


class Taught(NamedTuple):
    """A teacher, ready.

    Attributes:
        digest: of its cfg; a student that was pruned from it knows it.
    """

    teacher: Teacher
    digest: str = ""


def teachers_of(
    table: DistillTable, graph: Graph, names: tuple[str, ...], precision: Precision = "32-true"
) -> tuple[Taught, ...]:
    """Gives the teachers that a recipe names, at the size of the student.

    Args:
        graph: the student, at the size of its training.
        names: the student's classes.
        precision: of the training.

    Raises:
        WeightsError: a file is missing, damaged or incomplete.
        DataError: a teacher knows other classes.
        RecipeError: it cannot work at that size.
        DownloadError: published weights cannot be fetched, or must be trusted first.
    """
    return tuple(_teacher(weights, cfg, graph, names, precision) for weights, cfg in table.teachers)


def model_teacher(model: Model, name: str, student: Graph, precision: Precision = "32-true") -> Taught:
    """Gives a model as a teacher, at the size of the student.

    Raises:
        RecipeError: it cannot work at that size.
    """
    shape, network = student.input_shape, copy.copy(model.network)  # shares its weights
    try:
        network.graph = at_size(model.graph, (shape.width, shape.height))
    except RecipeError as error:
        raise RecipeError(f"teacher {name}: {error}") from error
    return Taught(NetworkTeacher(name, network, _PRECISIONS[precision]), cfg_digest(model.graph))


def distiller_of(
    model: Model, table: DistillTable, teachers: tuple[Taught, ...], loss: LossSettings, settings: TrainSettings
) -> Distiller:
    """Gives what a recipe's ``[distill]`` adds to the training of a model.

    Raises:
        RecipeError: a teacher does not fit the model, or a value is wrong.
        DataError: a teacher knows another number of classes.
    """
    terms = weighted_terms(table.method, table.scale, table.weights, table.temperature)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)  # of fresh adapters
        aligned = [_kept(model, digest) for _, digest in teachers]
        found = [teacher for teacher, _ in teachers]
        return Distiller(model.graph, found, terms, loss.anchor_threshold, aligned)


def _kept(model: Model, digest: str) -> Aligned:
    """Which channels of the teacher a model kept, where it was pruned from it."""
    if not digest or model.origin.get("cfg_sha256") != digest:
        return {}
    return {name: (node["node"], node["channels"]) for name, node in model.origin["nodes"].items()}


def _teacher(weights: str, cfg: str, graph: Graph, names: tuple[str, ...], precision: Precision) -> Taught:
    if is_artefact(Path(weights)):
        return _file_teacher(weights, cfg, names)
    model = _teacher_model(weights, cfg)
    _check_names(weights, model.names, names)
    return model_teacher(model, weights, graph, precision)


def _file_teacher(weights: str, cfg: str, names: tuple[str, ...]) -> Taught:
    if cfg:
        raise RecipeError(f"[distill] teacher_cfg {cfg}: {weights} brings its own network; leave it out")
    artefact = open_artefact(Path(weights))
    _check_names(weights, artefact.description.names, names)
    return Taught(FileTeacher(weights, artefact.description.graph, artefact.backend))


def _teacher_model(weights: str, cfg: str) -> Model:
    published = find_published(weights)
    network = cfg or (published.network if published is not None else "")
    path = weights_file(weights)
    if not network and path.suffix != ".safetensors":
        with open_weights(path):
            raise RecipeError(f"teacher {weights}: only a .safetensors brings its own network; add teacher_cfg")
    model = load(path, read_or_find(network) if network else None)
    if model.missing:
        raise WeightsError(f"teacher {weights}: lacks {', '.join(model.missing)}; a teacher needs all of its layers")
    return model if published is None else replace(model, names=published.class_names)


def _check_names(teacher: str, found: tuple[str, ...], expected: tuple[str, ...]) -> None:
    if found and found != expected:
        text = f"expected the student's classes ({', '.join(expected[:5])}), found {', '.join(found[:5])}"
        raise DataError(f"teacher {teacher}: {text}; choose a teacher that was trained on the same classes")
