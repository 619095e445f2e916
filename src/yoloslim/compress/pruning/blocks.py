"""Which residual blocks a method drops."""

from __future__ import annotations

import numpy as np

from yoloslim.compress.pruning.scores import ChannelScores
from yoloslim.errors import PlanError
from yoloslim.graph.blocks import Block, residual_blocks
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
        raise PlanError(_why_none(graph))
    wanted = max(1, round(share * len(scores))) if count is None else count
    if wanted > len(scores):
        raise PlanError(f"this network has {len(scores)} residual blocks that can be dropped, asked for are {wanted}")
    lowest = sorted(scores, key=scores.__getitem__)[:wanted]
    return tuple(name for name in scores if name in lowest)


def block_scores(graph: Graph, channels: ChannelScores) -> dict[str, float]:
    """Gives the score of every block that can be dropped, by its shortcut: the mean of its last convolution's channels.

    Blocks of which no convolution has scores are left out.
    """
    scored = ((block, _last_scored(block, channels)) for block in residual_blocks(graph).removable)
    return {block.shortcut: float(np.mean(channels[last])) for block, last in scored if last}


def _last_scored(block: Block, channels: ChannelScores) -> str:
    return next((name for name in reversed(block.branch) if name in channels), "")


def _why_none(graph: Graph) -> str:
    blocks = residual_blocks(graph)
    reasons = [f"{name}: {reason}" for name, reason in blocks.others.items()]
    if blocks.removable:
        reasons = [f"{blocks.removable[0].shortcut}: no convolution of its branch has batch-norm"]
    found = f"({reasons[0]})" if reasons else "(it has no [shortcut])"
    return f"this network has no residual block that can be dropped {found}; choose a method that removes channels"
