"""What planning may ask of pictures, from data sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from torch import Tensor

from yoloslim.boxes.detect import DetectSettings
from yoloslim.compress.pruning.scores import ChannelScores
from yoloslim.compress.pruning.taylor import taylor_scores
from yoloslim.data.dataset import Dataset
from yoloslim.data.joint import JointDataset
from yoloslim.engine.evaluate import Sample, evaluate
from yoloslim.errors import DataError
from yoloslim.losses.detection import detection_loss
from yoloslim.losses.settings import LossSettings
from yoloslim.nn.network import Network
from yoloslim.recipes.evaluate import Reading, check_classes
from yoloslim.recipes.pictures import labelled_batches, picture_batches
from yoloslim.recipes.prune import Evidence
from yoloslim.runtime.detector import Detector
from yoloslim.runtime.load import Model
from yoloslim.runtime.torch_backend import TorchBackend, choose_device


@dataclass(frozen=True, slots=True)
class Pictures:
    """Which pictures, and how many of each split.

    Attributes:
        training: what the network learnt from.
        validation: what results are measured on.
        classes: those that count, in the order of the network; empty for all.
        batch: pictures at a time.
    """

    training: Dataset | JointDataset
    validation: Dataset | JointDataset
    count: int
    device: str = "auto"
    classes: Sequence[int] = ()
    batch: int = 8
    loss: LossSettings = field(default_factory=LossSettings)


def evidence_of(model: Model, pictures: Pictures) -> Evidence:
    """Gives the evidence for a model from the first pictures of both splits; none is read before it is needed."""
    return Evidence(
        accuracy=accuracy_on(model, pictures.validation, pictures),
        training_accuracy=accuracy_on(model, pictures.training, pictures),
        pictures=lambda: training_pictures(model, pictures.training, pictures.count, pictures.batch),
        taylor=lambda network: _taylor(model, network, pictures),
    )


def accuracy_on(model: Model, dataset: Dataset | JointDataset, pictures: Pictures) -> Callable[[Network], float]:
    """Gives a function that measures AP50 on the first pictures of a data set, which are read once and kept.

    The function raises DataError where no picture can be read, or the classes are not the network's.
    """
    reading = Reading(dataset, pictures.classes)
    samples: list[Sample] = []
    yolos = tuple(yolo for _, yolo in model.graph.heads)
    size = (model.graph.input_shape.width, model.graph.input_shape.height)
    settings = DetectSettings(conf=0.001, single_class=dataset.single_class)

    def accuracy(network: Network) -> float:
        if not samples:
            if not dataset.single_class and not pictures.classes:
                check_classes(model.graph.classes, dataset)
            samples.extend(islice(reading, pictures.count))
        if not samples:
            raise DataError(f"none of {len(dataset)} pictures can be read")
        backend = TorchBackend(network, choose_device(pictures.device))
        detector = Detector(backend, yolos, size, model.resize, settings, channels=model.graph.input_shape.channels)
        return evaluate(detector, samples, reading.num_classes, batch=pictures.batch).map50

    return accuracy


def training_pictures(model: Model, dataset: Dataset | JointDataset, count: int, batch: int) -> list[Tensor]:
    """Gives the first ``count`` pictures of a data set as batches for a model.

    Raises:
        DataError: none of them can be read.
    """
    shape = model.graph.input_shape
    batches = list(picture_batches(dataset, count, shape, model.resize, batch))
    if not batches:
        raise DataError(f"none of {len(dataset)} training pictures can be read")
    return batches


def _taylor(model: Model, network: Network, pictures: Pictures) -> ChannelScores:
    yolos = [yolo for _, yolo in model.graph.heads]
    size = (model.graph.input_shape.width, model.graph.input_shape.height)
    shape, count = model.graph.input_shape, pictures.count
    batches = labelled_batches(pictures.training, count, shape, model.resize, pictures.batch, pictures.classes)

    def loss(head_maps: Sequence[Tensor], targets: Tensor) -> Tensor:
        return detection_loss(head_maps, targets, yolos, size, pictures.loss).total

    return taylor_scores(network, batches, loss)
