"""What a network learns from and is measured on."""

from __future__ import annotations

from dataclasses import dataclass, field

from yoloslim.boxes.placement import ResizeMode
from yoloslim.data.augment import AugmentSettings
from yoloslim.data.batches import LoaderSettings
from yoloslim.data.dataset import Dataset
from yoloslim.data.joint import JointDataset
from yoloslim.data.sampling import SamplingSettings
from yoloslim.graph.graph import Graph
from yoloslim.graph.input_size import at_size
from yoloslim.losses.class_weights import check_class_weights
from yoloslim.losses.settings import LossSettings
from yoloslim.recipes.distill import Taught
from yoloslim.recipes.loss import loss_settings
from yoloslim.recipes.schema import DataTable, Recipe, TrainRecipe
from yoloslim.recipes.sets import load_sets


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
        teachers: networks whose boxes are learnt from too.
    """

    training: Dataset | JointDataset
    validation: Dataset | JointDataset
    resize: ResizeMode
    augment: AugmentSettings
    loss: LossSettings
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    loader: LoaderSettings = field(default_factory=LoaderSettings)
    teachers: tuple[Taught, ...] = ()


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
        DataError: a data file or one of its splits is wrong.
        RecipeError: the label map or the weights of several data sets do not fit them, or there is not one class weight
            a class.
        CfgError: a value of the cfg is out of its range.
    """
    table = recipe.data
    training, validation = load_sets(table)
    loss = loss_settings(recipe.loss, graph)
    check_class_weights(loss, len(training.names))
    return Material(training, validation, table.resize, recipe.augment, loss, table.sampling, table.loader)
