"""A pruning plan by Torch-Pruning's BN-scale pruner, so that its choice is applied, measured and trained as ours is.

    pip install 'yoloslim[bench]'
    python benchmarks/peers/bn_scale.py --weights last.safetensors --params 0.5 --out plan

Its pruner compares scales over the whole network, divided by the mean of their group, which is its default. The ratio
is searched with which the asked-for share of the parameters is left. ``yoloslim prune --plan plan/plan.json --no-fold``
applies the plan: Torch-Pruning folds nothing either.
"""

from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path

import numpy as np
import torch
import torch_pruning

from yoloslim.compress.pruning.plan import PruningPlan, save_plan
from yoloslim.compress.pruning.shrink import shrunk_graph
from yoloslim.errors import PlanError
from yoloslim.graph.cost import total_cost
from yoloslim.graph.lanes import Lanes, trace_lanes
from yoloslim.graph.ops import Convolution
from yoloslim.nn.network import Network
from yoloslim.runtime.load import load

STEPS = 12
"""Halvings of the interval of ratios: to a four-thousandth."""


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help="a .safetensors checkpoint")
    parser.add_argument("--params", type=float, required=True, help="share of the parameters that is left, 0 to 1")
    parser.add_argument("--out", type=Path, required=True, help="folder for plan.json and plan.npz")
    parser.add_argument("--json", type=Path, help="file for the result")
    args = parser.parse_args()
    network = load(args.weights, None).network
    lanes = trace_lanes(network.graph)
    ratio, plan, left = plan_to(network, lanes, args.params)
    args.out.mkdir(parents=True, exist_ok=True)
    save_plan(plan, network.graph, lanes, args.out)
    result = {"ratio": ratio, "params": left, "torch_pruning": torch_pruning.__version__}
    print(json.dumps(result))
    if args.json:
        args.json.write_text(json.dumps(result) + "\n")


def plan_to(network: Network, lanes: Lanes, share: float) -> tuple[float, PruningPlan, float]:
    """Gives the lowest ratio found that leaves no more than a share of the parameters, its plan, and the share left."""
    dense = total_cost(network.graph).params
    low, high, best = 0.0, 1.0, None
    for _ in range(STEPS):
        ratio = (low + high) / 2
        plan = plan_at(network, lanes, ratio)
        left = total_cost(shrunk_graph(network.graph, plan)).params / dense
        if left > share:
            low = ratio
        else:
            high, best = ratio, (ratio, plan, left)
    if best is None:
        raise SystemExit(f"no ratio leaves {share} of the parameters: the pruner keeps a channel of each layer")
    return best


def plan_at(network: Network, lanes: Lanes, ratio: float) -> PruningPlan:
    """Gives the plan that removes what the pruner would at one ratio; the network stays as it is."""
    network = copy.deepcopy(network).train()
    convolutions = [node for node in network.graph if isinstance(node.op, Convolution)]
    layers = {network.get_submodule(node.name).get_submodule("conv"): node.name for node in convolutions}
    heads = {node.inputs[0] for node, _ in network.graph.heads}
    pruner = torch_pruning.pruner.BNScalePruner(
        network,
        torch.zeros(1, *network.graph.input_shape),
        importance=torch_pruning.importance.BNScaleImportance(),
        global_pruning=True,
        pruning_ratio=ratio,
        max_pruning_ratio=0.99,
        ignored_layers=[module for module, name in layers.items() if name in heads],
    )
    keep = np.ones(lanes.count, bool)
    for group in pruner.step(interactive=True):
        for item in group.items:
            module, handler = item.dep.target.module, item.dep.handler
            if module in layers and pruner.DG.is_out_channel_pruning_fn(handler):
                keep[lanes.of[layers[module]][item.idxs]] = False
    if (keep | ~lanes.fixed).all():
        return PruningPlan(keep, "torch-pruning BN scale", {"ratio": ratio})
    raise PlanError("Torch-Pruning removes channels that a head needs")


if __name__ == "__main__":
    main()
