"""``yoloslim data convert``: a data set from one label format to another."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from yoloslim.cli.session import Result, Session

if TYPE_CHECKING:
    from yoloslim.data.convert import Conversion, SplitCounts
    from yoloslim.data.set_writer import Placing
    from yoloslim.data.splits import DataFile

Source = Literal["yolo", "voc", "coco", "visdrone", "bdd100k", "dior", "oxfordhand"]
Form = Literal["yolo", "yolo-obb", "voc", "coco"]


def convert(
    session: Session,
    source: Annotated[Path, typer.Argument(metavar="IN", help="A data file, or a folder as its format lays it out.")],
    to: Annotated[Form, typer.Option("--to", help="Format to write.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="New folder to write.")],
    source_format: Annotated[
        Source | None, typer.Option("--from", help="Format of IN; default: the data file's, or found.")
    ] = None,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the pictures into DIR.")] = False,
    link: Annotated[bool, typer.Option("--link", help="Link to the pictures from DIR.")] = False,
) -> Result:
    """Convert a data set to another label format.

    Pictures stay where they are, and lists say where, unless they are to be copied or linked.
    """
    from yoloslim.cli.outputs import check_folder
    from yoloslim.cli.progress import changing_bar
    from yoloslim.cli.reports import tell_problems
    from yoloslim.data.convert import convert_data
    from yoloslim.data.targets import TARGETS
    from yoloslim.errors import RecipeError

    if copy and link:
        raise RecipeError("--copy and --link: expected one of them, found both")
    check_folder("--out", out)
    data_file = open_source(source, source_format)
    for note in data_file.notes:
        session.print(note)
    placing: Placing = "copy" if copy else "link" if link else "list"
    with changing_bar(session) as bar:
        conversion = convert_data(data_file, TARGETS[to], out, placing, partial(bar, "converting"))
    for note in conversion.notes:
        session.print(note)
    told = tell_problems(conversion.problems)
    _show(session, conversion)
    paths = [str(path) for path in conversion.data_files]
    splits = {name: _as_json(counts) for name, counts in conversion.splits.items()}
    return {"out": str(out), "data": paths[0], "format": to, "paths": paths, "splits": splits, "problems": told}


def open_source(source: Path, source_format: str | None) -> DataFile:
    """Gives the data set in a data file, or in a folder that is laid out as ``source_format`` has it.

    Raises:
        RecipeError: it is a folder, and no format is stated.
        DataError: the data file is wrong, or the folder is laid out otherwise.
    """
    from yoloslim.data.datafile import load_data_file
    from yoloslim.data.layouts import LAYOUTS, read_layout
    from yoloslim.errors import RecipeError

    if source.is_dir():
        if source_format is None:
            raise RecipeError(f"{source} is a folder: say with --from how it is laid out ({', '.join(LAYOUTS)})")
        return read_layout(source, source_format)
    return load_data_file(source, label_format=source_format)


def _show(session: Session, conversion: Conversion) -> None:
    from yoloslim.cli.tables import table

    rows = [
        (
            name,
            f"{counts.pictures_in:,} -> {counts.pictures_out:,}",
            f"{counts.boxes_in:,} -> {counts.boxes_out:,}",
            f"{len(counts.backgrounds):,}",
        )
        for name, counts in conversion.splits.items()
    ]
    session.print(table(("split", "pictures", "boxes", "without objects"), rows))
    for name, counts in conversion.splits.items():
        for kind, count in counts.left_out.items():
            session.print(f"{name}: left out: {count:,} x {kind}")
        for kind, count in counts.changed.items():
            session.print(f"{name}: changed: {count:,} x {kind}")
    session.print(f"wrote {conversion.data_files[0]}")


def _as_json(counts: SplitCounts) -> Result:
    return {
        "pictures": {"in": counts.pictures_in, "out": counts.pictures_out},
        "boxes": {"in": counts.boxes_in, "out": counts.boxes_out},
        "backgrounds": [str(path) for path in counts.backgrounds],
        "left_out": dict(counts.left_out),
        "changed": dict(counts.changed),
    }
