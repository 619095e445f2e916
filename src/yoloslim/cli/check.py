"""``yoloslim check``: every problem of a cfg at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yoloslim.cli.options import TargetName
from yoloslim.cli.outcome import CheckFailed
from yoloslim.cli.session import Result, Session

if TYPE_CHECKING:
    from yoloslim.graph.lint import Finding


def check(
    session: Session,
    cfg: Annotated[Path, typer.Option("--cfg", metavar="FILE", help="The cfg to check.")],
    target: Annotated[TargetName | None, typer.Option("--for", help="What it is to run on, in integers.")] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what has one right answer.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where --fix writes; default: the cfg itself.")
    ] = None,
) -> Result:
    """Tell every problem of a cfg, with its line."""
    from yoloslim.cfg.sections import read_text
    from yoloslim.errors import RecipeError
    from yoloslim.graph.lint import fixed, lint

    if out is not None and not fix:
        raise RecipeError("--out goes with --fix")
    text = read_text(cfg)
    findings = lint(text, str(cfg))
    if target is not None and not any(finding.severity == "error" for finding in findings):
        findings = (*findings, *_refused(text, str(cfg), target))
    mended = [finding for finding in findings if fix and finding.fix]
    if mended or out is not None:
        _write(out or cfg, fixed(text, mended))
    if mended:
        session.print(f"mended {len(mended)} of {len(findings)} problems")
        findings = tuple(finding for finding in findings if finding not in mended)
        cfg = out or cfg
    for finding in findings:
        place = f"{cfg}:{finding.line}" if finding.line else str(cfg)
        session.print(f"{place}: {finding.severity}: {finding.message}")
    result: Result = {"problems": [_row(finding) for finding in findings], "mended": len(mended)}
    if any(finding.severity == "error" for finding in findings):
        raise CheckFailed(f"{cfg}: {_count(findings)}", result)
    session.print(f"{cfg}: {_count(findings)}")
    return result


def _refused(text: str, path: str, target: str) -> Iterator[Finding]:
    """What a target cannot run of a network that can be read."""
    from yoloslim.compress.quantization.legality import findings
    from yoloslim.graph.from_cfg import parse_cfg

    return findings(parse_cfg(text, path=path), target)


def _row(finding: Finding) -> dict[str, Any]:
    return {key: value for key, value in asdict(finding).items() if key != "fix"}


def _count(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.severity for finding in findings)
    words = [f"{counts[kind]} {kind}{'s' if counts[kind] > 1 else ''}" for kind in ("error", "warning") if counts[kind]]
    return ", ".join(words) or "no problems"


def _write(path: Path, text: str) -> None:
    from yoloslim.files import write_atomically

    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
