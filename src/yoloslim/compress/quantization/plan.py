"""Where a network is rounded, as data: what a quantized checkpoint keeps beside its tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from yoloslim.compress.quantization.spec import SCHEMES, QuantSpec
from yoloslim.errors import RecipeError, WeightsError
from yoloslim.graph.graph import IMAGE, Graph

SCHEMA = 1
"""Version of the metadata; a plan with a higher one is refused."""


@dataclass(frozen=True, slots=True)
class QuantPlan:
    """Where a network is rounded, and to which codes. Nodes are named; what is not named is in float.

    Attributes:
        target: name of the target that it was made for.
        scheme: what rounds weights and maps: one of ``SCHEMES``.
        scales: codes of each scale of feature maps, by its name, which is that of the first node with it.
        edges: the scale of every node, or the image, whose output is codes. Nodes that pass values on, as pooling and
            concatenation do, have the scale of what they read.
        before: codes of the sums of convolutions that are rounded before their activation.
        kernels: codes of the weights of convolutions that compute on integers. One that is in neither ``edges`` nor
            ``before`` gives its sums in float: those before the heads.
    """

    target: str
    scheme: str
    scales: Mapping[str, QuantSpec]
    edges: Mapping[str, str]
    before: Mapping[str, QuantSpec]
    kernels: Mapping[str, QuantSpec]


def to_metadata(plan: QuantPlan) -> dict[str, Any]:
    """Gives a plan as plain values for JSON; equal specs are written once."""
    specs = list(dict.fromkeys([*plan.scales.values(), *plan.before.values(), *plan.kernels.values()]))
    return {
        "schema": SCHEMA,
        "target": plan.target,
        "scheme": plan.scheme,
        "specs": [asdict(spec) for spec in specs],
        "scales": {name: specs.index(spec) for name, spec in plan.scales.items()},
        "edges": dict(plan.edges),
        "before": {name: specs.index(spec) for name, spec in plan.before.items()},
        "kernels": {name: specs.index(spec) for name, spec in plan.kernels.items()},
    }


def from_metadata(found: Mapping[str, Any], graph: Graph, where: object) -> QuantPlan:
    """Gives the plan in the metadata of a checkpoint.

    Raises:
        WeightsError: it is of a later version, is damaged, or names nodes that the graph lacks.
    """
    if isinstance(found.get("schema"), int) and found["schema"] > SCHEMA:
        raise WeightsError(f"{where}: its quantization is of a later yoloslim (schema {found['schema']}); upgrade it")
    try:
        specs = [QuantSpec(**values) for values in found["specs"]]
        tables = {key: {n: specs[i] for n, i in found[key].items()} for key in ("scales", "before", "kernels")}
        plan = QuantPlan(str(found["target"]), str(found["scheme"]), edges=dict(found["edges"]), **tables)
    except (KeyError, TypeError, IndexError, AttributeError, RecipeError) as error:
        raise WeightsError(f"{where}: its quantization cannot be used ({error!r}); quantize it again") from error
    if plan.scheme not in SCHEMES:
        raise WeightsError(f"{where}: its scheme is {plan.scheme}, known are {', '.join(SCHEMES)}; upgrade yoloslim")
    _check_names(plan, graph, where)
    return plan


def _check_names(plan: QuantPlan, graph: Graph, where: object) -> None:
    nodes = {IMAGE, *(node.name for node in graph)}
    unknown = _first({*plan.edges, *plan.before, *plan.kernels} - nodes, set(plan.edges.values()) - plan.scales.keys())
    if unknown:
        raise WeightsError(f"{where}: its quantization names {unknown}, which its cfg has not; quantize it again")


def _first(*found: Iterable[str]) -> str:
    return next((name for names in found for name in sorted(names)), "")
