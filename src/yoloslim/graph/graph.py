"""A network as named nodes: what each does, what it reads, and the cfg section it came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from yoloslim.cfg.sections import Section
from yoloslim.graph.ops import Op, Shape, Yolo

IMAGE = "image"
"""Name under which nodes read the network's input."""


@dataclass(frozen=True, slots=True)
class Node:
    """One layer of the network.

    Attributes:
        name: ``<index>_<op>``, for instance ``012_convolutional``; also the prefix of its tensors.
        inputs: names of the nodes it reads, or ``image``, in the order that its op expects.
        section: the cfg section, with the keys that the op does not know.
        weights_of: name of the convolution whose weights it uses (``share_index``); empty for its own.
    """

    name: str
    op: Op
    inputs: tuple[str, ...]
    section: Section
    weights_of: str = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """A network: nodes in the order of the cfg, each reading only earlier ones.

    Attributes:
        input_shape: channels, height and width of the picture it reads.
        section: the ``[net]`` section.
        tail: sections behind the last node, which take no part: those of a classifier, behind its backbone.
    """

    nodes: tuple[Node, ...]
    input_shape: Shape
    section: Section
    tail: tuple[Section, ...] = ()

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def __getitem__(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)

    @property
    def path(self) -> str:
        """The cfg file it was read from; empty for a network made in memory."""
        return self.section.path

    @property
    def heads(self) -> tuple[tuple[Node, Yolo], ...]:
        """The heads with their ops, in the order of the cfg."""
        return tuple((node, node.op) for node in self.nodes if isinstance(node.op, Yolo))

    @property
    def classes(self) -> int:
        """Number of classes of the heads; 0 for a network without heads."""
        return max((yolo.classes for _, yolo in self.heads), default=0)

    def with_size(self, width: int, height: int) -> Graph:
        """Gives the same network for pictures of another size, in pixels."""
        section = self.section.updated({"width": str(width), "height": str(height)})
        return replace(self, input_shape=Shape(self.input_shape.channels, height, width), section=section)


def node_name(index: int, kind: str) -> str:
    """Gives the name of the node at ``index`` (from 0) made from a section of that kind."""
    return f"{index:03d}_{kind}"
