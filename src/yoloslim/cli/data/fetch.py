"""``yoloslim data fetch``: a known data set, ready to train on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yoloslim.cli.options import Trust
from yoloslim.cli.session import Result, Session

if TYPE_CHECKING:
    from yoloslim.data.fetch import Archive
    from yoloslim.data.known import Count, KnownSet


def fetch(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A data set of `yoloslim data list`.")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder to write; default: data/NAME.")] = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="DIR", exists=True, file_okay=False, help="Folder that has the archives."),
    ] = None,
    trust: Trust = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be done; do nothing.")] = False,
) -> Result:
    """Fetch a known data set, unpack it and count it."""
    from yoloslim.cli.outputs import check_folder
    from yoloslim.cli.progress import bytes_bar
    from yoloslim.data.fetch import fetch_set, list_archives

    data_set = _known(name)
    folder = out or Path("data") / name
    check_folder("--out", folder)
    if dry_run:
        archives = list_archives(data_set, folder, source)
        _show_archives(session, data_set, archives)
        return {"folder": str(folder), "archives": [_row(archive) for archive in archives]}
    with bytes_bar(session) as show:
        file = fetch_set(data_set, folder, source=source, trust=trust, show=show)
    session.print(f"wrote {file}")
    return {"folder": str(folder), "data": str(file), **_counted(session, data_set, file)}


def _known(name: str) -> KnownSet:
    import difflib

    from yoloslim.data.known import KNOWN_SETS
    from yoloslim.errors import DataError

    if name not in KNOWN_SETS:
        near = difflib.get_close_matches(name, KNOWN_SETS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(KNOWN_SETS)}"
        raise DataError(f"'{name}' is no known data set; {hint}")
    return KNOWN_SETS[name]


def _show_archives(session: Session, data_set: KnownSet, archives: Sequence[Archive]) -> None:
    from yoloslim.cli.tables import table

    cells = [
        (archive.name, archive.state, f"{archive.remote.size:,}" if archive.remote and archive.remote.size else "")
        for archive in archives
    ]
    session.print(table(("archive", "is", "bytes"), cells, left=2))
    for archive in archives:
        if archive.state == "to fetch" and archive.remote is not None:
            session.print(f"from {archive.remote.url}")
    if data_set.by_hand:
        session.print(f"{data_set.obstacle}: {data_set.page}")


def _row(archive: Archive) -> dict[str, Any]:
    remote = archive.remote
    known = {"url": remote.url, "bytes": remote.size or None} if remote else {"url": None, "bytes": None}
    return {"name": archive.name, "state": archive.state, **known}


def _counted(session: Session, data_set: KnownSet, file: Path) -> Result:
    """Counts what is there, split by split, prints it beside what is published, and gives both."""
    from yoloslim.cli.progress import progress_bar
    from yoloslim.cli.reports import tell_problems
    from yoloslim.data.annotations import Kind
    from yoloslim.data.datafile import load_data_file
    from yoloslim.data.dataset import load_dataset
    from yoloslim.data.fetch import count_split
    from yoloslim.data.known import Count

    found: dict[str, Count] = {}
    problems: list[object] = []
    data_file = load_data_file(file)
    for split in data_set.places:
        dataset = load_dataset(data_file, split)
        for note in dataset.notes:
            session.print(note)
        with progress_bar(session, f"counting {split}", len(dataset)) as progress:
            found[split], wrong = count_split(dataset, progress)
        problems.extend(problem for problem in wrong if problem.kind is not Kind.IGNORED)  # as its authors mean them
    found["all"] = Count(*(sum(column) for column in zip(*map(astuple, found.values()), strict=True)))
    _show_counts(session, found, data_set.counts)
    told = tell_problems(problems)
    return {"found": _rows(found), "published": _rows(data_set.counts), "problems": told}


def _rows(counts: Mapping[str, Count]) -> dict[str, dict[str, int | None]]:
    return {split: asdict(count) for split, count in counts.items()}


def _show_counts(session: Session, found: Mapping[str, Count], published: Mapping[str, Count]) -> None:
    """Prints each number found, with the published one behind it where there is one."""
    from yoloslim.cli.tables import table
    from yoloslim.data.known import Count

    cells = []
    for split, count in found.items():
        pairs = zip(astuple(count), astuple(published.get(split, Count())), strict=True)
        cells.append((split, *(f"{number:,}" + (f" of {stated:,}" if stated else "") for number, stated in pairs)))
    session.print(table(("split", "pictures", "boxes", "clear boxes"), cells))
