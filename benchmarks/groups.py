"""Channels that live and die together: ours beside Torch-Pruning's, which derives them from a traced forward pass.

    pip install 'yoloslim[bench]'
    python benchmarks/groups.py

For every convolution of YOLOv3, -spp, -tiny, YOLOv4 and -tiny (the heads' own aside, which nobody prunes) each output
channel is followed to the output channels that go with it and to the input channels that read it. Both must be the same
sets. Where they are not, differentiation decides: a group is right if every input channel in it depends on an output
channel in it. The table is printed and kept in ``benchmarks/results/groups.json``; it ends with 1 where ours is wrong.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import torch_pruning
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))
from environment import machine, versions

from yoloslim.graph.graph import Graph
from yoloslim.graph.lanes import trace_lanes
from yoloslim.graph.ops import Convolution
from yoloslim.nn.network import Network
from yoloslim.zoo.catalog import find

RESULT = Path(__file__).parent / "results" / "groups.json"
NETWORKS = ("yolov3", "yolov3-spp", "yolov3-tiny", "yolov4", "yolov4-tiny")
SIDE = 64  # pixels: groups do not depend on it

Channel = tuple[str, str, int]
"""``("out" | "in", node, channel)``."""


def main() -> int:
    """Compares every network, prints the table, keeps it, and gives the exit code."""
    rows = [compared(name) for name in NETWORKS]
    titles = ("network", *rows[0]["counts"], *rows[0]["seconds"])
    print("  ".join(f"{title:>13}" for title in titles))
    for row in rows:
        counts = [f"{count:13,}" for count in row["counts"].values()]
        seconds = [f"{value:13.3f}" for value in row["seconds"].values()]
        print("  ".join([f"{row['network']:>13}", *counts, *seconds]))
    record = {"torch_pruning": torch_pruning.__version__, "machine": machine(), "versions": versions(), "rows": rows}
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(record, indent=1) + "\n")
    return int(any(row["counts"]["ours, wrong"] for row in rows))


def compared(name: str) -> dict[str, Any]:
    """Gives the counts of one network."""
    graph = find(name, size=(SIDE, SIDE))
    start = time.perf_counter()
    ours = lane_groups(graph)
    middle = time.perf_counter()
    theirs = traced_groups(Network(graph).eval())
    end = time.perf_counter()
    counts = {
        "groups, ours": len(ours),
        "theirs": len(theirs),
        "equal": len(ours & theirs),
        "ours, wrong": refuted(graph, ours - theirs),
        "theirs, wrong": refuted(graph, theirs - ours),
    }
    return {"network": name, "counts": counts, "seconds": {"s, ours": middle - start, "s, theirs": end - middle}}


def refuted(graph: Graph, groups: set[frozenset[Channel]]) -> int:
    """Gives how many groups have an input channel that depends on none of their output channels."""
    torch.manual_seed(0)
    maps: dict[str, Tensor] = {}

    def keep(name: str, output: Tensor) -> Tensor:
        maps[name] = output
        return output

    Network(graph).eval()(torch.rand(1, *graph.input_shape), tap=keep)
    return sum(not all(is_read(graph, maps, group, place) for place in group if place[0] == "in") for group in groups)


def is_read(graph: Graph, maps: dict[str, Tensor], group: frozenset[Channel], place: Channel) -> bool:
    """Whether an input channel depends on an output channel of its group."""
    _, reader, channel = place
    read = maps[graph[reader].inputs[0]][:, channel].sum()
    for kind, writer, written in group:
        if kind == "out":
            (slope,) = torch.autograd.grad(read, maps[writer], retain_graph=True, allow_unused=True)
            if slope is not None and bool(slope[:, written].any()):
                return True
    return False


def lane_groups(graph: Graph) -> set[frozenset[Channel]]:
    """Gives, for each lane that may go, every output channel that writes it and input channel that reads it."""
    lanes = trace_lanes(graph)
    groups: dict[int, set[Channel]] = defaultdict(set)
    for node in graph:
        if isinstance(node.op, Convolution):
            for kind, source in (("out", node.name), ("in", node.inputs[0])):
                for channel, lane in enumerate(lanes.of[source].tolist()):
                    groups[lane].add((kind, node.name, channel))
    return {frozenset(group) for lane, group in groups.items() if not lanes.fixed[lane]}


def traced_groups(network: Network) -> set[frozenset[Channel]]:
    """Gives the same by Torch-Pruning's dependency graph, joined where two of its groups share a channel."""
    names = {network.get_submodule(node.name).get_submodule("conv"): node.name for node in convolutions(network.graph)}
    heads = {node.inputs[0] for node, _ in network.graph.heads}
    dependencies = torch_pruning.DependencyGraph()
    dependencies.build_dependency(network, example_inputs=torch.zeros(1, *network.graph.input_shape))
    ties: list[tuple[Channel, Channel]] = []
    for module, name in names.items():
        if name not in heads:
            everything = list(range(module.out_channels))
            group = dependencies.get_pruning_group(module, torch_pruning.prune_conv_out_channels, idxs=everything)
            ties.extend(tie for item in group.items for tie in ties_of(item, name, names, dependencies))
    return joined(ties)


def convolutions(graph: Graph) -> list[Any]:
    return [node for node in graph if isinstance(node.op, Convolution)]


def ties_of(item: Any, root: str, names: dict[Any, str], dependencies: Any) -> Iterable[tuple[Channel, Channel]]:
    """Gives the channels of one convolution that go with the channels of ``root``."""
    module = item.dep.target.module
    if module not in names:
        return []
    kind = "out" if dependencies.is_out_channel_pruning_fn(item.dep.handler) else "in"
    pairs = zip(item.root_idxs, item.idxs, strict=True)
    return [(("out", root, channel), (kind, names[module], index)) for channel, index in pairs]


def joined(ties: Iterable[tuple[Channel, Channel]]) -> set[frozenset[Channel]]:
    """Gives the sets of channels that ties connect."""
    near: dict[Channel, set[Channel]] = defaultdict(set)
    for a, b in ties:
        near[a].add(b)
        near[b].add(a)
    groups, seen = set(), set()
    for channel in near:
        if channel in seen:
            continue
        found, waiting = {channel}, [channel]
        while waiting:
            new = near[waiting.pop()] - found
            found |= new
            waiting.extend(new)
        seen |= found
        groups.add(frozenset(found))
    return groups


if __name__ == "__main__":
    sys.exit(main())
