"""``yoloslim data check``: everything that is wrong with a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yoloslim.cli.options import DataFile
from yoloslim.cli.outcome import CheckFailed
from yoloslim.cli.session import Result, Session

if TYPE_CHECKING:
    from yoloslim.data.check import Report

_SEVERITIES = ("error", "warning", "note")
_SHOWN = 5  # problems of a kind


def check(
    session: Session,
    data: DataFile,
    fix: Annotated[bool, typer.Option("--fix", help="Write labels without what is wrong, and check them.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where --fix writes; default: a new folder in runs.")
    ] = None,
) -> Result:
    """Tell everything that is wrong with a data set."""
    from yoloslim.errors import RecipeError

    if out is not None and not fix:
        raise RecipeError("--out goes with --fix")
    folder = _new_folder(out, data) if fix else None
    report = _checked(session, data)
    _show(session, report)
    result = _result(data, report)
    left = result
    if folder is not None:
        session.print(f"{data}: {_count(result)}\n")
        left = result["fixed"] = _fixed(session, report, folder)
    told = f"{left['data']}: {_count(left)}"
    if left["errors"]:
        raise CheckFailed(told, result)
    session.print(told)
    return result


def _new_folder(out: Path | None, data: str) -> Path:
    from yoloslim.cli.outputs import output_folder
    from yoloslim.files import check_new_folder

    folder = output_folder(out, "data-check", Path(data).stem)
    check_new_folder(folder)
    return folder


def _checked(session: Session, data: str) -> Report:
    from yoloslim.cli.progress import changing_bar
    from yoloslim.data.check import check as check_data
    from yoloslim.data.datafile import load_data_file

    data_file = load_data_file(data)
    for note in data_file.notes:
        session.print(note)
    with changing_bar(session) as progress:
        return check_data(data_file, progress)


def _fixed(session: Session, report: Report, folder: Path) -> Result:
    """Writes the cleaned labels and gives what a check of them finds."""
    from yoloslim.data.cleaned import write_cleaned

    data = str(write_cleaned(report, folder))
    session.print(f"wrote {data}")
    cleaned = _checked(session, data)
    _show_counts(session, cleaned)
    return _result(data, cleaned)


def _show(session: Session, report: Report) -> None:
    from yoloslim.data.check import VERDICTS

    _show_counts(session, report)
    for kind, problems in report.by_kind().items():
        verdict = VERDICTS[kind]
        session.print(f"\n{verdict.severity}: {kind} ({len(problems):,}): {verdict.effect}")
        for problem in problems[:_SHOWN]:
            session.print(f"  {problem}")
        if len(problems) > _SHOWN:
            session.print(f"  and {len(problems) - _SHOWN:,} more; --json lists all")
    session.print()


def _show_counts(session: Session, report: Report) -> None:
    for name, (pictures, boxes) in report.counts().items():
        session.print(f"{name}: {pictures:,} pictures, {boxes:,} boxes")


def _result(data: str, report: Report) -> Result:
    from yoloslim.data.check import VERDICTS

    kinds, problems, totals = [], [], dict.fromkeys(_SEVERITIES, 0)
    for kind, found in report.by_kind().items():
        verdict = VERDICTS[kind]
        totals[verdict.severity] += len(found)
        kinds.append({"kind": kind, "severity": verdict.severity, "count": len(found), "effect": verdict.effect})
        problems += [{"kind": kind, "path": p.path, "line": p.line, "message": p.message} for p in found]
    counts = {f"{severity}s": total for severity, total in totals.items()}
    splits = {name: {"pictures": pictures, "boxes": boxes} for name, (pictures, boxes) in report.counts().items()}
    return {"data": data, "splits": splits, **counts, "kinds": kinds, "problems": problems}


def _count(result: Result) -> str:
    counts = {severity: result[f"{severity}s"] for severity in _SEVERITIES}
    words = [f"{count:,} {severity}{'s' if count > 1 else ''}" for severity, count in counts.items() if count]
    return ", ".join(words) or "no problems"
