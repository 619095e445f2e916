"""A pruning decision as data, and as two files that can be read, compared and applied again."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yoloslim.errors import PlanError
from yoloslim.files import write_atomically
from yoloslim.graph.blocks import branch_nodes, lanes_without
from yoloslim.graph.graph import Graph
from yoloslim.graph.lanes import Lanes, trace_lanes
from yoloslim.graph.to_cfg import to_cfg

SCHEMA = 1
"""Version of plan files; others are refused."""

JsonValue = str | int | float | bool | None

_DAMAGED = (OSError, ValueError, LookupError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What json, zipfile and numpy raise for files that are missing, cut off or changed."""


@dataclass(frozen=True, slots=True)
class PruningPlan:
    """Which lanes stay, and which residual blocks go.

    Attributes:
        keep: shape (lanes,), True for lanes that stay; numbered as ``trace_lanes`` numbers them.
        method: name of the method that made the plan.
        options: the method's settings, for the record.
        dropped: shortcuts whose blocks go (see ``residual_blocks``).
    """

    keep: NDArray[np.bool_]
    method: str = ""
    options: Mapping[str, JsonValue] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()


def planned_lanes(graph: Graph, plan: PruningPlan) -> Lanes:
    """Gives the lanes of the network without the plan's dropped blocks, numbered as those of the whole network.

    Raises:
        PlanError: the plan cannot be applied to the network.
    """
    lanes = lanes_without(graph, plan.dropped)
    check_plan(plan, lanes)
    return lanes


def check_plan(plan: PruningPlan, lanes: Lanes) -> None:
    """Tells that a plan can be applied.

    Args:
        lanes: of the network, without those layers that the plan drops.

    Raises:
        PlanError: the number of lanes differs, a fixed lane is removed, a layer loses every channel, or parts that
            must stay equal do not.
    """
    if plan.keep.shape != (lanes.count,):
        raise PlanError(f"the plan has {plan.keep.size} lanes, the network {lanes.count}; it was made for another cfg")
    lost = lanes.fixed & ~plan.keep
    if lost.any():
        raise PlanError(
            f"the plan removes {lost.sum()} lanes that the input or a head needs, the first is lane {lost.argmax()}"
        )
    for name, lane in lanes.of.items():
        if not plan.keep[lane].any():
            raise PlanError(f"the plan removes every channel of {name}; keep at least one")
    for parts in lanes.balanced:
        counts = [int(plan.keep[part].sum()) for part in parts]
        if len(set(counts)) > 1:
            raise PlanError(f"the plan keeps {counts} channels in parts that a grouped layer needs equal")


def cfg_digest(graph: Graph) -> str:
    """Gives the SHA-256 of the network's cfg text as written here: comments and spacing do not count."""
    return hashlib.sha256(to_cfg(graph).encode()).hexdigest()


def save_plan(plan: PruningPlan, graph: Graph, lanes: Lanes, folder: Path) -> None:
    """Writes ``plan.json`` (for people) and ``plan.npz`` (``keep``) into a folder.

    Args:
        lanes: of the whole network.
    """
    gone = branch_nodes(graph, plan.dropped).union(plan.dropped)
    record = {
        "schema": SCHEMA,
        "method": plan.method,
        "options": dict(plan.options),
        "cfg_sha256": cfg_digest(graph),
        "dropped_blocks": list(plan.dropped),
        "dropped_nodes": [node.name for node in graph if node.name in gone],
        "kept": _kept_counts(plan, graph, lanes),
    }
    with write_atomically(folder / "plan.npz") as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, keep=plan.keep)
    with write_atomically(folder / "plan.json") as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n")


def _kept_counts(plan: PruningPlan, graph: Graph, lanes: Lanes) -> dict[str, int]:
    """How many channels of each node stay, 0 for the nodes of dropped branches."""
    branches = branch_nodes(graph, plan.dropped)
    return {n.name: 0 if n.name in branches else int(plan.keep[lanes.of[n.name]].sum()) for n in graph}


def load_plan(path: Path, graph: Graph) -> PruningPlan:
    """Gives the plan of a ``plan.json`` (with ``plan.npz`` beside it), or of the folder that holds both.

    Raises:
        PlanError: files are missing or damaged, or the plan was made for another cfg.
    """
    record, plan = read_plan(path)
    if record["cfg_sha256"] != cfg_digest(graph):
        other = graph.path or "this network"
        raise PlanError(f"{_text_file(path)}: made for another cfg than {other}; plan that cfg anew")
    lanes = trace_lanes(graph)
    if plan.keep.size == lanes.count and record["kept"] != _kept_counts(plan, graph, lanes):  # else told later
        raise PlanError(f"{_text_file(path)}: its counts are not those of plan.npz beside it; plan anew")
    return plan


def read_plan(path: Path) -> tuple[dict[str, Any], PruningPlan]:
    """Gives what a ``plan.json`` says, for people, and its plan, whatever cfg it was made for.

    Raises:
        PlanError: files are missing or damaged.
    """
    text_file = _text_file(path)
    try:
        record = json.loads(text_file.read_text())
        method, options = record["method"], dict(record["options"])
        _ = record["cfg_sha256"], dict(record["kept"])
        if record.get("schema") != SCHEMA:
            raise ValueError(f"schema {record.get('schema')}, this yoloslim reads {SCHEMA}")
        dropped = tuple(str(name) for name in record["dropped_blocks"])
        keep = _read_keep(text_file.with_suffix(".npz"))
    except _DAMAGED as error:
        raise PlanError(f"{text_file}: expected plan.json with plan.npz beside it ({error})") from error
    return record, PruningPlan(keep, method, options, dropped)


def _text_file(path: Path) -> Path:
    return path / "plan.json" if path.is_dir() else path


def _read_keep(path: Path) -> NDArray[np.bool_]:
    with zipfile.ZipFile(path) as archive:
        content = archive.read("keep.npy")  # whole, so that its checksum is compared before numpy reads a number
    keep: NDArray[np.bool_] = np.load(io.BytesIO(content))
    if keep.dtype != bool or keep.ndim != 1:
        raise ValueError(f"keep is {keep.ndim}-dimensional {keep.dtype}, expected one boolean a lane")
    return keep
