"""The pruned network in the shape of the whole one: removed channels are multiplied by zero."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from yoloslim.compress.pruning.plan import PruningPlan, check_plan
from yoloslim.graph.lanes import trace_lanes
from yoloslim.nn.network import Network


class MaskedNetwork(nn.Module):
    """Runs a network with every node's output, after its activation, multiplied by the plan."""

    def __init__(self, network: Network, plan: PruningPlan) -> None:
        super().__init__()
        lanes = trace_lanes(network.graph)
        check_plan(plan, lanes)
        self.network = network
        keep = torch.from_numpy(plan.keep)
        self._masks = {name: keep[torch.from_numpy(lane)].view(1, -1, 1, 1) for name, lane in lanes.of.items()}
        self._heads = {node.name for node, _ in network.graph.heads}

    def forward(self, images: Tensor) -> list[Tensor]:
        """Gives the head maps; shapes as ``Network.forward``."""
        return self.network(images, tap=self._mask)  # type: ignore[no-any-return]

    def _mask(self, name: str, output: Tensor) -> Tensor:
        if name in self._heads:  # a head map has another layout, and all of its lanes are fixed
            return output
        return output * self._masks[name].to(output.device, output.dtype)


def mask(network: Network, plan: PruningPlan) -> MaskedNetwork:
    """Gives the network with the plan's removed channels multiplied by zero; the weights are shared.

    Raises:
        PlanError: the plan does not fit the network.
    """
    return MaskedNetwork(network, plan)
