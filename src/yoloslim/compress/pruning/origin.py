"""Where every channel of a pruned network came from.

    {"cfg_sha256": "...", "nodes": {"004_convolutional": {"node": "007_convolutional", "channels": [0, 2, 5]}}}

Channel ``i`` of a node is channel ``channels[i]`` of ``node`` in the network whose cfg has that digest. Pruning a
pruned network again leads back to the same first network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from yoloslim.compress.pruning.plan import PruningPlan, cfg_digest, planned_lanes
from yoloslim.graph.blocks import drop_blocks, renumber
from yoloslim.graph.graph import IMAGE, Graph

Origin = Mapping[str, Any]
"""Plain data, as a checkpoint keeps it; empty for a network that was not pruned."""


def origin_of(graph: Graph, plan: PruningPlan, before: Origin) -> Origin:
    """Gives the origin of the network that a plan leaves of ``graph``.

    Args:
        before: of ``graph``; empty where it is whole.

    Raises:
        PlanError: the plan does not fit the network.
    """
    lanes = planned_lanes(graph, plan)
    _, names = renumber(drop_blocks(graph, plan.dropped))
    kept = {now: (old, np.flatnonzero(plan.keep[lanes.of[old]]).tolist()) for now, old in names.items() if old != IMAGE}
    return traced(graph, kept, before)


def traced(graph: Graph, kept: Mapping[str, tuple[str, Iterable[int]]], before: Origin) -> Origin:
    """Gives the origin of a network whose nodes kept some channels of the nodes of ``graph``.

    Args:
        kept: by node of the new network, the node of ``graph`` that it was and its channels that were kept, from 0.
        before: the origin of ``graph``; empty where it is whole.
    """
    first = before.get("nodes", {})
    nodes = {}
    for now, (old, channels) in kept.items():
        source = first.get(old, {"node": old, "channels": None})
        own = source["channels"]
        nodes[now] = {"node": source["node"], "channels": [own[i] if own is not None else i for i in channels]}
    return {"cfg_sha256": before.get("cfg_sha256") or cfg_digest(graph), "nodes": nodes}
