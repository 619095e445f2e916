"""The pruned network in the shape of the whole one: removed channels and dropped branches are multiplied by zero."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from yoloslim.compress.pruning.plan import PruningPlan, planned_lanes
from yoloslim.graph.blocks import branch_nodes
from yoloslim.nn.network import Network


class MaskedNetwork(nn.Module):
    """Runs a network with every node's output, after its activation, multiplied by the plan.

    A dropped block's branch gives zeros, so that its shortcut is the skip.
    """

    def __init__(self, network: Network, plan: PruningPlan) -> None:
        super().__init__()
        lanes = planned_lanes(network.graph, plan)
        self.network = network
        keep = torch.from_numpy(plan.keep)
        self._silent = branch_nodes(network.graph, plan.dropped)
        self._masks = {name: keep[torch.from_numpy(lane)].view(1, -1, 1, 1) for name, lane in lanes.of.items()}
        self._heads = {node.name for node, _ in network.graph.heads}

    def forward(self, images: Tensor) -> list[Tensor]:
        """Gives the head maps; shapes as ``Network.forward``."""
        return self.network(images, tap=self._mask)  # type: ignore[no-any-return]

    def _mask(self, name: str, output: Tensor) -> Tensor:
        if name in self._silent:
            return torch.zeros_like(output)
        if name in self._heads or name not in self._masks:  # a head map has another layout, and its lanes are fixed;
            return output  # a dropped shortcut adds nothing to its skip
        return output * self._masks[name].to(output.device, output.dtype)


def mask(network: Network, plan: PruningPlan) -> MaskedNetwork:
    """Gives the network with the plan's removed channels multiplied by zero; the weights are shared.

    Raises:
        PlanError: the plan does not fit the network.
    """
    return MaskedNetwork(network, plan)
