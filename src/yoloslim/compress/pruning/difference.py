"""What two plans for one network do differently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yoloslim.compress.pruning.plan import read_plan
from yoloslim.errors import PlanError


@dataclass(frozen=True, slots=True)
class PlanDifference:
    """What two plans do differently.

    Attributes:
        lanes: how many both keep, only the first, only the second, and neither.
        nodes: channels that the first and the second keep, of every node where they differ.
        options: method and settings where they differ, the first's and the second's.
        dropped: blocks that only the first drops, and only the second.
    """

    lanes: Mapping[str, int]
    nodes: Mapping[str, tuple[int, int]]
    options: Mapping[str, tuple[Any, Any]]
    dropped: tuple[tuple[str, ...], tuple[str, ...]]


def compare_plans(first: Path, second: Path) -> PlanDifference:
    """Gives what two plan files do differently.

    Raises:
        PlanError: a file is missing or damaged, or they were made for different cfgs.
    """
    (record, plan), (other_record, other) = read_plan(first), read_plan(second)
    if record["cfg_sha256"] != other_record["cfg_sha256"] or len(plan.keep) != len(other.keep):
        raise PlanError(f"{first} and {second} were made for different cfgs; only plans for one cfg can be compared")
    counts = {
        "both": int((plan.keep & other.keep).sum()),
        "only_first": int((plan.keep & ~other.keep).sum()),
        "only_second": int((~plan.keep & other.keep).sum()),
        "neither": int((~plan.keep & ~other.keep).sum()),
    }
    settings = ({"method": p.method, **p.options} for p in (plan, other))
    dropped = set(plan.dropped), set(other.dropped)
    return PlanDifference(
        counts,
        _unequal(record["kept"], other_record["kept"]),
        _unequal(*settings),
        (tuple(sorted(dropped[0] - dropped[1])), tuple(sorted(dropped[1] - dropped[0]))),
    )


def _unequal(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    keys = [*first, *(key for key in second if key not in first)]
    pairs = {key: (first.get(key), second.get(key)) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
