"""Which residual blocks a method drops."""

from __future__ import annotations

from collections.abc import Container

import numpy as np

from yoloslim.compress.pruning.scores import ChannelScores
from yoloslim.errors import PlanError
from yoloslim.graph.blocks import residual_blocks
from yoloslim.graph.graph import Graph


def lowest_blocks(graph: Graph, channels: ChannelScores, share: float, count: int | None) -> tuple[str, ...]:
    """Gives the shortcuts of the blocks whose last convolution has the lowest mean score, in the order of the network.

    Args:
        share: of the removable blocks that go, at least one, where ``count`` is None; 0..1.
        count: how many go.

    Raises:
        PlanError: there are not so many; says why.
    """
    if count == 0 or (count is None and share == 0):
        return ()
    scores = block_scores(graph, channels)
    if not scores:
        raise PlanError(f"{why_none(graph)}; choose a method that removes channels")
    wanted = max(1, round(share * len(scores))) if count is None else count
    if wanted > len(scores):
        raise PlanError(f"this network has {len(scores)} residual blocks that can be dropped, asked for are {wanted}")
    lowest = sorted(scores, key=scores.__getitem__)[:wanted]
    return tuple(name for name in scores if name in lowest)


def block_scores(graph: Graph, channels: ChannelScores) -> dict[str, float]:
    """Gives the score of every block that can be dropped, by its shortcut: the mean of its last convolution's channels.

    Blocks of which no convolution has scores are left out.
    """
    return {name: float(np.mean(channels[last])) for name, last in last_scored(graph, channels).items()}


def last_scored(graph: Graph, scored: Container[str]) -> dict[str, str]:
    """Gives the last convolution with scores of every block that can be dropped, by its shortcut.

    Args:
        scored: names of the convolutions that have scores; blocks without one are left out.
    """
    blocks = residual_blocks(graph).removable
    found = {block.shortcut: [name for name in block.branch if name in scored] for block in blocks}
    return {name: branch[-1] for name, branch in found.items() if branch}


def why_none(graph: Graph) -> str:
    """Gives why a network has no block with scores that can be dropped."""
    blocks = residual_blocks(graph)
    reasons = [f"{name}: {reason}" for name, reason in blocks.others.items()]
    if blocks.removable:
        reasons = [f"{blocks.removable[0].shortcut}: no convolution of its branch has batch-norm"]
    found = f"({reasons[0]})" if reasons else "(it has no [shortcut])"
    return f"this network has no residual block that can be dropped {found}"
