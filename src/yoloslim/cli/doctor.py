"""``yoloslim doctor``: what this machine has, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

from yoloslim.cli.session import Result, Session


def doctor(session: Session) -> Result:
    """Show what this machine has, and what is wrong with it."""
    from yoloslim.cli.outcome import CheckFailed
    from yoloslim.cli.tables import table
    from yoloslim.recipes.doctor import examine

    findings = list(examine())
    rows = [(each.what, "" if each.state == "ok" else each.state, each.found, each.advice) for each in findings]
    session.print(table(("", "state", "found", "what to do"), rows, left=4))
    counts = Counter(each.state for each in findings)
    result = {"findings": [asdict(each) for each in findings], "problems": counts["broken"] + counts["doubtful"]}
    broken = [each for each in findings if each.state == "broken"]
    if broken:
        more = f", and {len(broken) - 1} more" if len(broken) > 1 else ""
        raise CheckFailed(f"{broken[0].what}: {broken[0].found}{more}; {broken[0].advice}", result)
    session.print(f"could be better: {counts['doubtful']}" if counts["doubtful"] else "nothing is wrong")
    return result
