"""Terms of the loss that pull a student to its teachers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from yoloslim.compress.distillation.heads import HeadPair, as_students, pair_heads, plain_map
from yoloslim.compress.distillation.maps import Aligned, MapPair, bounded, pair_maps
from yoloslim.compress.distillation.methods import Weighted
from yoloslim.compress.distillation.scene import Scene, near_objects
from yoloslim.compress.distillation.teacher import Seen, Teacher
from yoloslim.compress.distillation.term import Compared
from yoloslim.errors import DataError, RecipeError
from yoloslim.graph.graph import Graph
from yoloslim.losses.assign import assign
from yoloslim.nn.probed import Probe

PREFIX = "distill_"
"""Of the columns of the results."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """A teacher and how it belongs to the student.

    Attributes:
        teacher: who teaches.
        heads: pairs of heads.
        maps: the pairs of maps that belong to them.
    """

    teacher: Teacher
    heads: tuple[HeadPair, ...]
    maps: tuple[MapPair, ...]


class Distiller:
    """Compares a student with its teachers on every batch; a term is the mean over the teachers.

    Args:
        student: at the size of its training.
        teachers: at the same size.
        terms: by name.
        anchor_threshold: overlap above which an anchor answers for an object, as in the student's loss.
        aligned: for each teacher, which of its channels the student kept; empty where it was not pruned from it.

    Attributes:
        probes: where to look inside the student, with the adapters that learn.
        notes: what the user should know, one sentence each.

    Raises:
        RecipeError: a teacher does not fit the student, or cannot give what a term compares.
        DataError: a teacher knows another number of classes.
    """

    def __init__(
        self,
        student: Graph,
        teachers: Sequence[Teacher],
        terms: Mapping[str, Weighted],
        anchor_threshold: float,
        aligned: Sequence[Aligned] = (),
    ) -> None:
        self._student, self._terms, self._anchor_threshold = student, terms, anchor_threshold
        self._compared = {weighted.term.compares for weighted in terms.values()}
        self.notes: list[str] = []
        lessons = []
        for teacher, kept in zip(teachers, aligned or [{}] * len(teachers), strict=True):
            _check_fit(student, teacher, terms)
            heads, note = pair_heads(student, teacher.graph)
            lessons.append(Lesson(teacher, heads, pair_maps(student, teacher.graph, heads, kept)))
            self.notes += [f"teacher {teacher.name}: {note}"] if note else []
        self._lessons = tuple(lessons)
        self.probes = self._probes()

    def __call__(
        self, images: Tensor, targets: Tensor, head_maps: Sequence[Tensor], seen: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Gives the weighted terms, scalars, by the column of the results that shows them.

        Args:
            images: shape (B, C, H, W), RGB in 0..1, as the student saw them.
            targets: shape (M, 6): picture in the batch, class, centre x, centre y, width, height, shares of the input.
            head_maps: of the student, raw.
            seen: what its probes give.
        """
        with torch.autocast(images.device.type, enabled=False):
            found = [
                self._taught(number, lesson, images, targets.float(), head_maps, seen)
                for number, lesson in enumerate(self._lessons)
            ]
            return {
                PREFIX + name: weighted.weight * torch.stack([terms[name] for terms in found]).mean()
                for name, weighted in self._terms.items()
            }

    def _taught(
        self,
        number: int,
        lesson: Lesson,
        images: Tensor,
        targets: Tensor,
        head_maps: Sequence[Tensor],
        seen: Mapping[str, Tensor],
    ) -> dict[str, Tensor]:
        """The terms of one teacher, not weighted."""
        taught = lesson.teacher(images, self._taps(lesson))
        scene = self._scene(lesson, targets, head_maps, (images.shape[3], images.shape[2]))
        views: Mapping[Compared, Callable[[], tuple[list[Tensor], list[Tensor]]]] = {
            "heads": lambda: _heads_of(lesson, scene, head_maps, taught),
            "maps": lambda: _maps_of(lesson, number, seen, taught),
            "channels": lambda: _channels_of(lesson, number, seen, taught),
        }
        compared = {kind: views[kind]() for kind in self._compared}
        return {name: weighted.term(*compared[weighted.term.compares], scene) for name, weighted in self._terms.items()}

    def _taps(self, lesson: Lesson) -> frozenset[str]:
        """The teacher's nodes that are looked at."""
        return frozenset(pair.teacher for pair in lesson.maps) if self._compared - {"heads"} else frozenset()

    def _probes(self) -> dict[str, Probe]:
        makers: Mapping[Compared, Callable[[MapPair], nn.Module]] = {
            "maps": lambda pair: nn.Identity(),
            "channels": lambda pair: pair.adapter(),
        }
        return {
            _probe(kind, number, place): Probe(pair.student, make(pair))
            for kind, make in makers.items()
            if kind in self._compared
            for number, lesson in enumerate(self._lessons)
            for place, pair in enumerate(lesson.maps)
        }

    def _scene(self, lesson: Lesson, targets: Tensor, head_maps: Sequence[Tensor], size: tuple[int, int]) -> Scene:
        grids = [(head_map.shape[2], head_map.shape[3]) for head_map in head_maps]
        matches = assign(targets, [yolo for _, yolo in self._student.heads], grids, size, self._anchor_threshold)
        pairs, count = lesson.heads, len(head_maps[0])
        strides = {pair.student: (size[0] / grids[pair.student][1], size[1] / grids[pair.student][0]) for pair in pairs}
        near = [
            near_objects(targets, pair.own, strides[pair.student], (count, *grids[pair.student]))
            for pair in (pairs if self._compared - {"heads"} else ())
        ]
        return Scene(
            tuple(pair.plain for pair in pairs),
            tuple(strides[pair.student] for pair in pairs),
            tuple(matches[pair.student] for pair in pairs),
            tuple(near),
        )


def _heads_of(lesson: Lesson, scene: Scene, own: Sequence[Tensor], taught: Seen) -> tuple[list[Tensor], list[Tensor]]:
    student = [plain_map(own[pair.student], pair.own) for pair in lesson.heads]
    teacher = [
        as_students(plain_map(taught.head_maps[pair.teacher], pair.other), pair, stride)
        for pair, stride in zip(lesson.heads, scene.strides, strict=True)
    ]
    return student, teacher


def _maps_of(
    lesson: Lesson, number: int, seen: Mapping[str, Tensor], taught: Seen
) -> tuple[list[Tensor], list[Tensor]]:
    student = [bounded(seen[_probe("maps", number, place)]) for place in range(len(lesson.maps))]
    return student, [bounded(taught.maps[pair.teacher]) for pair in lesson.maps]


def _channels_of(
    lesson: Lesson, number: int, seen: Mapping[str, Tensor], taught: Seen
) -> tuple[list[Tensor], list[Tensor]]:
    student = [bounded(seen[_probe("channels", number, place)]) for place in range(len(lesson.maps))]
    return student, [bounded(pair.comparable(taught.maps[pair.teacher])) for pair in lesson.maps]


def _probe(kind: Compared, teacher: int, place: int) -> str:
    return f"{kind}_{teacher}_{place}"


def _check_fit(student: Graph, teacher: Teacher, terms: Mapping[str, Weighted]) -> None:
    inner = [name for name, weighted in terms.items() if weighted.term.compares != "heads"]
    if inner and not teacher.shows_maps:
        raise RecipeError(
            f"teacher {teacher.name}: {inner[0]} compares inner maps, an exported file gives its heads alone; "
            "choose a method without it, or a checkpoint as teacher"
        )
    if student.classes != teacher.graph.classes:
        raise DataError(
            f"teacher {teacher.name}: expected the student's {student.classes} classes, found {teacher.graph.classes}; "
            "choose a teacher that was trained on the same classes"
        )
    if student.input_shape != teacher.graph.input_shape:
        own, other = ("x".join(map(str, graph.input_shape)) for graph in (student, teacher.graph))
        raise RecipeError(f"teacher {teacher.name}: expected pictures of {own}, as the student, found {other}")
