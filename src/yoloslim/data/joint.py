"""Several data sets as one, with one list of classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from yoloslim.boxes.annotation import Annotation
from yoloslim.data.annotations import Problem
from yoloslim.data.dataset import Dataset, LoadedSample, Sample

LabelMap = Mapping[str, str]
"""Class names of a data set that are another name on the common list."""


@dataclass(frozen=True, slots=True)
class Part:
    """One of several data sets.

    Attributes:
        dataset: the data set.
        class_ids: for each of its classes, the class id on the common list.
        unlabelled: class ids on the common list that it has no labels for.
    """

    dataset: Dataset
    class_ids: tuple[int, ...]
    unlabelled: frozenset[int]

    def translated(self, annotation: Annotation) -> Annotation:
        """Gives an annotation of the data set with class ids of the common list."""
        class_ids = np.array(self.class_ids, np.int64)[annotation.class_ids]
        return replace(annotation, class_ids=class_ids, unlabelled=self.unlabelled)


@dataclass(frozen=True, slots=True)
class JointDataset:
    """The pictures of several data sets, one after the other; used as a `Dataset` is.

    Attributes:
        parts: the data sets.
        names: the class names, by the class ids of the annotations.
    """

    parts: tuple[Part, ...]
    names: tuple[str, ...]

    @property
    def single_class(self) -> bool:
        """Whether every class becomes the first: never here, where the common list has it done already."""
        return False

    def __len__(self) -> int:
        return sum(len(part.dataset) for part in self.parts)

    def __iter__(self) -> Iterator[LoadedSample]:
        for part in self.parts:
            for loaded in part.dataset:
                known = loaded.annotation
                yield replace(loaded, annotation=None if known is None else part.translated(known))

    @property
    def samples(self) -> tuple[Sample, ...]:
        """Its pictures."""
        return tuple(chain.from_iterable(part.dataset.samples for part in self.parts))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with its splits as a whole, for the user."""
        return tuple(chain.from_iterable(part.dataset.problems for part in self.parts))

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines to tell the user once."""
        return tuple(chain.from_iterable(part.dataset.notes for part in self.parts))


def joint(
    datasets: Sequence[Dataset], label_maps: Sequence[LabelMap], names: Sequence[str] | None = None
) -> JointDataset:
    """Gives data sets as one. Its classes are theirs by name, in the order in which they first appear.

    Args:
        datasets: one or more.
        label_maps: for each of them, which classes are called something else on the common list; names that it does
            not have are passed over.
        names: the common list, where it is known already.
    """
    pairs = zip(datasets, label_maps, strict=True)
    renamed = [[label_map.get(name, name) for name in dataset.names] for dataset, label_map in pairs]
    names = tuple(names or dict.fromkeys(chain.from_iterable(renamed)))
    parts = []
    for dataset, own in zip(datasets, renamed, strict=True):
        class_ids = tuple(names.index(name) for name in own)
        parts.append(Part(dataset, class_ids, frozenset(range(len(names))) - frozenset(class_ids)))
    return JointDataset(tuple(parts), names)


def as_joint(dataset: Dataset | JointDataset) -> JointDataset:
    """Gives a data set as one of several, its classes as they are."""
    if isinstance(dataset, JointDataset):
        return dataset
    return JointDataset((Part(dataset, tuple(range(len(dataset.names))), frozenset()),), dataset.names)
