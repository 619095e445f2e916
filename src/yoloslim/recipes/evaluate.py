"""Evaluation of a model on a data set, whatever is wrong with the data set told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from yoloslim.data.annotations import Problem
from yoloslim.data.dataset import Dataset
from yoloslim.data.joint import JointDataset
from yoloslim.engine.evaluate import Evaluation, Sample, evaluate
from yoloslim.errors import DataError
from yoloslim.runtime.detector import Detector


@dataclass(slots=True)
class Reading:
    """Reads the samples of a data set for evaluation and keeps what is wrong with them.

    Attributes:
        classes: those that count, in the order of the network; empty for all.
        problems: bad pictures, which are left out, and bad boxes; complete when the samples have been read.
    """

    dataset: Dataset | JointDataset
    classes: Sequence[int] = ()
    problems: list[Problem] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.problems.extend(self.dataset.problems)

    def __iter__(self) -> Iterator[Sample]:
        for loaded in self.dataset:
            self.problems.extend(loaded.problems)
            if loaded.picture is not None and loaded.annotation is not None:
                annotation = loaded.annotation.of_classes(self.classes) if self.classes else loaded.annotation
                yield loaded.picture, annotation

    @property
    def num_classes(self) -> int:
        """The number of classes that count."""
        return len(self.classes) or len(self.dataset.names)


def evaluate_on(
    detector: Detector,
    dataset: Dataset | JointDataset,
    *,
    batch: int = 8,
    at_conf: float | None = None,
    progress: Callable[[int], None] | None = None,
    classes: Sequence[int] = (),
) -> tuple[Evaluation, list[Problem]]:
    """Gives the accuracy of a detector on a data set, and everything that was left out of it.

    A detector that takes every class for the first is measured on a data set that does so too.

    Args:
        classes: those of the data set that the detector knows, in its order; empty for all.

    Raises:
        DataError: the classes of data and network differ, or no picture could be read.
    """
    if not detector.settings.single_class and not classes:
        check_classes(detector.yolos[0].classes, dataset)
    reading = Reading(dataset, classes)
    result = evaluate(detector, reading, reading.num_classes, batch=batch, at_conf=at_conf, progress=progress)
    if not result.images:
        raise DataError(f"none of {len(dataset)} pictures can be evaluated; the first problem: {reading.problems[0]}")
    return result, reading.problems


def check_classes(classes: int, dataset: Dataset | JointDataset) -> None:
    """Makes sure that the network's classes are the data set's.

    Raises:
        DataError: their numbers differ.
    """
    if classes != len(dataset.names):
        found = (
            f"the network has {classes} classes, the data set {len(dataset.names)} ({', '.join(dataset.names[:4])} ...)"
        )
        raise DataError(f"{found}; use the data file that belongs to these weights")
