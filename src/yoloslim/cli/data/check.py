"""``yoloslim data check``: everything that is wrong with a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yoloslim.cli.options import DataFile
from yoloslim.cli.outcome import CheckFailed
from yoloslim.cli.session import Result, Session

if TYPE_CHECKING:
    from yoloslim.data.check import Report

_SEVERITIES = ("error", "warning", "note")
_SHOWN = 5  # problems of a kind


def check(session: Session, data: DataFile) -> Result:
    """Tell everything that is wrong with a data set."""
    from yoloslim.cli.progress import changing_bar
    from yoloslim.data.check import check as check_data
    from yoloslim.data.datafile import load_data_file

    data_file = load_data_file(data)
    with changing_bar(session) as progress:
        report = check_data(data_file, progress)
    for note in data_file.notes:
        session.print(note)
    _show(session, report)
    result = _result(report)
    if result["errors"]:
        raise CheckFailed(f"{data}: {_count(result)}", result)
    session.print(f"{data}: {_count(result)}")
    return result


def _show(session: Session, report: Report) -> None:
    from yoloslim.data.check import VERDICTS

    for name, (pictures, boxes) in report.counts().items():
        session.print(f"{name}: {pictures:,} pictures, {boxes:,} boxes")
    for kind, problems in report.by_kind().items():
        verdict = VERDICTS[kind]
        session.print(f"\n{verdict.severity}: {kind} ({len(problems):,}): {verdict.effect}")
        for problem in problems[:_SHOWN]:
            session.print(f"  {problem}")
        if len(problems) > _SHOWN:
            session.print(f"  and {len(problems) - _SHOWN:,} more; --json lists all")
    session.print()


def _result(report: Report) -> Result:
    from yoloslim.data.check import VERDICTS

    kinds, problems, totals = [], [], dict.fromkeys(_SEVERITIES, 0)
    for kind, found in report.by_kind().items():
        verdict = VERDICTS[kind]
        totals[verdict.severity] += len(found)
        kinds.append({"kind": kind, "severity": verdict.severity, "count": len(found), "effect": verdict.effect})
        problems += [{"kind": kind, "path": p.path, "line": p.line, "message": p.message} for p in found]
    splits = {name: {"pictures": pictures, "boxes": boxes} for name, (pictures, boxes) in report.counts().items()}
    return {
        "splits": splits,
        **{f"{word}s": totals[word] for word in _SEVERITIES},
        "kinds": kinds,
        "problems": problems,
    }


def _count(result: Result) -> str:
    counts = {word: result[f"{word}s"] for word in _SEVERITIES}
    words = [f"{count:,} {word}{'s' if count > 1 else ''}" for word, count in counts.items() if count]
    return ", ".join(words) or "no problems"
