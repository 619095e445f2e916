"""Inner maps of two networks side by side: what the last convolution before each pair of heads reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from yoloslim.compress.distillation.heads import LARGEST, HeadPair
from yoloslim.graph.graph import IMAGE, Graph
from yoloslim.graph.shapes import infer_shapes

Aligned = Mapping[str, tuple[str, Sequence[int]]]
"""By node of a pruned student: the node of the teacher that it was, and which of its channels were kept, from 0."""


@dataclass(frozen=True, slots=True)
class MapPair:
    """A map of the student and a map of the teacher with cells of the same size.

    Attributes:
        student: node of the student.
        teacher: node of the teacher.
        widths: channels of both.
        channels: for each channel of the student's map, the teacher's channel that it once was; empty where unknown.
    """

    student: str
    teacher: str
    widths: tuple[int, int]
    channels: tuple[int, ...] = ()

    @property
    def is_aligned(self) -> bool:
        """Whether channel and channel can be compared as they are."""
        return bool(self.channels)

    def adapter(self) -> nn.Module:
        """Gives what brings the student's channels to the teacher's: nothing where they are aligned."""
        return nn.Identity() if self.is_aligned else nn.Conv2d(*self.widths, kernel_size=1)

    def comparable(self, teacher: Tensor) -> Tensor:
        """Gives the channels of the teacher's map, shape (B, C, h, w), that the student is compared with."""
        return teacher[:, list(self.channels)] if self.is_aligned else teacher


def pair_maps(student: Graph, teacher: Graph, heads: Sequence[HeadPair], aligned: Aligned) -> tuple[MapPair, ...]:
    """Gives the pairs of maps that belong to pairs of heads, in their order.

    Args:
        aligned: of the student, where it was pruned from this teacher; else empty.
    """
    own, others = infer_shapes(student), infer_shapes(teacher)
    pairs = []
    for head in heads:
        mine, theirs = _before_head(student, head.student), _before_head(teacher, head.teacher)
        widths = own[mine].channels, others[theirs].channels
        source, channels = aligned.get(mine, ("", ()))
        fits = source == theirs and len(channels) == widths[0]
        pairs.append(MapPair(mine, theirs, widths, tuple(channels) if fits else ()))
    return tuple(pairs)


def bounded(maps: Tensor) -> Tensor:
    """Gives maps in float32 whose sums and squares are finite."""
    return maps.float().clamp(-LARGEST, LARGEST)


def _before_head(graph: Graph, index: int) -> str:
    node, _ = graph.heads[index]
    source = node.inputs[0]
    before = graph[source].inputs[0]
    return source if before == IMAGE else before
