"""Who teaches: anything that finds boxes in a batch of pictures."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yoloslim.graph.graph import Graph
from yoloslim.nn.network import Network

Precision = torch.dtype
"""What a network computes in, where that is not float32."""


class Seen(NamedTuple):
    """What a teacher makes of a batch, without gradients.

    Attributes:
        head_maps: one a head, as of `Network`.
        maps: outputs of nodes, shape (B, C, h, w), by name.
    """

    head_maps: Sequence[Tensor]
    maps: dict[str, Tensor]


class Teacher(Protocol):
    """Finds boxes in pictures."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def graph(self) -> Graph:
        """Its network, at the size at which it runs."""

    @property
    def shows_maps(self) -> bool:
        """Whether it gives the outputs of its nodes."""

    def __call__(self, images: Tensor, nodes: Collection[str], /) -> Seen:
        """Gives what it makes of pictures (B, C, H, W), RGB in 0..1, with the outputs of these nodes."""


class NetworkTeacher:
    """A copy of a network, in evaluation mode, on the device of the pictures.

    Args:
        precision: what it computes in: bfloat16, float16 or float32.
    """

    shows_maps = True

    def __init__(self, name: str, network: Network, precision: torch.dtype = torch.float32) -> None:
        self.name, self.graph, self._precision = name, network.graph, precision
        own = copy.deepcopy(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._network: Network = own.eval().requires_grad_(False)

    def __call__(self, images: Tensor, nodes: Collection[str], /) -> Seen:
        """Gives what the network makes of pictures."""
        seen: dict[str, Tensor] = {}

        def look(node: str, output: Tensor) -> Tensor:
            if node in nodes:
                seen[node] = output
            return output

        mixed = self._precision != torch.float32
        with torch.no_grad(), torch.autocast(images.device.type, self._precision, enabled=mixed):
            return Seen(self._network.to(images.device)(images, look), seen)


class FileTeacher:
    """A network in another program's file, which gives head maps alone.

    Args:
        graph: what the file says of it.
        run: head maps of pictures, both as arrays.
    """

    shows_maps = False

    def __init__(
        self, name: str, graph: Graph, run: Callable[[NDArray[np.float32]], Sequence[NDArray[np.float32]]]
    ) -> None:
        self.name, self.graph, self._run = name, graph, run

    def __call__(self, images: Tensor, nodes: Collection[str], /) -> Seen:
        """Gives what the file's network makes of pictures."""
        assert not nodes
        found = self._run(np.ascontiguousarray(images.detach().cpu().float().numpy()))
        return Seen([torch.from_numpy(head_map).to(images.device) for head_map in found], {})
