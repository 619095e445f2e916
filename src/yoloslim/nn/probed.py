"""A network that shows its inner maps while it computes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from yoloslim.nn.network import Network


class Probe(NamedTuple):
    """A look at the output of a node.

    Attributes:
        node: its name.
        module: what its output goes through; it may learn.
    """

    node: str
    module: nn.Module


class ProbedNetwork(nn.Module):
    """A network with probes, by name; those that learn are its parameters, the network computes as without them."""

    def __init__(self, network: Network, probes: Mapping[str, Probe]) -> None:
        super().__init__()
        self.network = network
        self.probes = nn.ModuleDict({name: probe.module for name, probe in probes.items()})
        self._names: dict[str, list[str]] = {}
        for name, probe in probes.items():
            self._names.setdefault(probe.node, []).append(name)

    def forward(self, images: Tensor) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Gives the head maps of pictures (B, C, H, W), RGB in 0..1, and what each probe makes of its node's output."""
        seen: dict[str, Tensor] = {}

        def look(node: str, output: Tensor) -> Tensor:
            for name in self._names.get(node, ()):
                seen[name] = self.probes[name](output)
            return output

        return self.network(images, look), seen
