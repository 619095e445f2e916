"""``yoloslim plan``: what pruning plans say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yoloslim.cli.session import Result, Session

if TYPE_CHECKING:
    from yoloslim.compress.pruning.difference import PlanDifference


def diff(
    session: Session,
    first: Annotated[Path, typer.Argument(metavar="A", help="A plan.json, or its folder.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another for the same cfg.")],
) -> Result:
    """Tell what two plans for one network do differently."""
    from yoloslim.compress.pruning.difference import compare_plans

    found = compare_plans(first, second)
    _show(session, found)
    return {
        "lanes": dict(found.lanes),
        "nodes": {name: list(pair) for name, pair in found.nodes.items()},
        "options": {name: list(pair) for name, pair in found.options.items()},
        "dropped_blocks": {"only_first": list(found.dropped[0]), "only_second": list(found.dropped[1])},
    }


def _show(session: Session, found: PlanDifference) -> None:
    from yoloslim.cli.tables import table

    lanes = found.lanes
    alone = f"only A {lanes['only_first']:,}, only B {lanes['only_second']:,}"
    session.print(f"lanes kept  by both {lanes['both']:,}, {alone}, by neither {lanes['neither']:,}")
    rows = [(name, *map(str, pair)) for name, pair in {**found.options, **found.nodes}.items()]
    for title, names in zip(("only A drops", "only B drops"), found.dropped, strict=True):
        if names:
            session.print(f"{title}  {', '.join(names)}")
    if rows:
        session.print(table(["where they differ", "A", "B"], rows))
