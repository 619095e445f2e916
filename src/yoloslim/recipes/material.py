"""What a network learns from and is measured on."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from yoloslim.boxes.placement import ResizeMode
from yoloslim.data.augment import AugmentSettings
from yoloslim.data.datafile import load_data_file
from yoloslim.data.dataset import Dataset, load_dataset
from yoloslim.graph.graph import Graph
from yoloslim.graph.input_size import at_size
from yoloslim.losses.class_weights import check_class_weights
from yoloslim.losses.settings import LossSettings
from yoloslim.recipes.loss import loss_settings
from yoloslim.recipes.schema import DataTable, Recipe, TrainRecipe

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Material:
    """What a network learns from and is measured on.

    Attributes:
        training: pictures to train on.
        validation: pictures to measure on.
        resize: how pictures are fitted.
        augment: how training pictures are varied.
        loss: weights of the loss.
    """

    training: Dataset
    validation: Dataset
    resize: ResizeMode
    augment: AugmentSettings
    loss: LossSettings


def sized(graph: Graph, table: DataTable) -> Graph:
    """Gives the network at the size that a recipe asks for.

    Raises:
        RecipeError: the network cannot work at that size.
    """
    if not table.size:
        return graph
    return at_size(graph, table.size if isinstance(table.size, tuple) else (table.size, table.size))


def material_of(recipe: Recipe | TrainRecipe, graph: Graph) -> Material:
    """Gives the material that a recipe names; no picture is read.

    Args:
        graph: the network that the recipe names; its cfg has a say in the loss.

    Raises:
        DataError: the data file or one of its splits is wrong.
        RecipeError: there is not one class weight a class.
        CfgError: a value of the cfg is out of its range.
    """
    data_file = load_data_file(recipe.data.data)
    for note in data_file.notes:
        _log.info("%s", note)
    sets: list[Dataset] = []
    for split in ("train", "val"):
        dataset = load_dataset(data_file, split)
        sets.append(replace(dataset, single_class=dataset.single_class or recipe.data.single_class))
    loss = loss_settings(recipe.loss, graph)
    check_class_weights(loss, len(sets[0].names))
    return Material(sets[0], sets[1], recipe.data.resize, recipe.augment, loss)
