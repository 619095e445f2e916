"""``yoloslim anchors``: anchors that fit a data set, and a cfg with them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yoloslim.cli.options import DataFile, Resize, SplitOption, check_count
from yoloslim.cli.session import Result, Session

if TYPE_CHECKING:
    from yoloslim.data.anchors import AnchorFit
    from yoloslim.data.survey import Survey
    from yoloslim.zoo.anchors import Anchors

_DEFAULT_COUNT = 9


def anchors(
    session: Session,
    data: DataFile,
    count: Annotated[
        int | None, typer.Option(metavar="N", callback=check_count, help="How many; default: as in the cfg, else 9.")
    ] = None,
    cfg: Annotated[
        str, typer.Option("--cfg", metavar="FILE|NAME", help="Compare with its anchors: a cfg file or zoo name.")
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the cfg with them; without --cfg, a file for `cfg --anchors`."),
    ] = None,
    size: Annotated[str, typer.Option("--size", metavar="N|WxH", help="Input size; default: the cfg's, or 416.")] = "",
    resize: Annotated[Resize, typer.Option("--resize", help="How pictures are fitted in training.")] = "letterbox",
    split: SplitOption = "train",
) -> Result:
    """Find the anchors that fit a data set, and write them into a cfg."""
    from yoloslim.cli.inputs import parse_size
    from yoloslim.cli.outputs import check_folder
    from yoloslim.data.anchors import find_anchors, fit_of

    if out is not None:
        check_folder("--out, folder", out.absolute().parent)
    start = _start(cfg, count)
    width, height = parse_size(size) or start.size
    survey = _survey(session, data, split)
    sizes = survey.trained_sizes((width, height), resize)
    found = find_anchors(sizes, start.count, session.seed)
    fit, before = fit_of(sizes, found), fit_of(sizes, start.anchors) if start.anchors else None
    boxes = f"{len(sizes):,} boxes in {len(survey.picture_sizes):,} pictures"
    session.print(f"{boxes} at {width}x{height}, {resize}, {split}")
    _show(session, [("found", fit)] + ([(cfg, before)] if before else []))
    session.print(_text(found))
    if out is not None:
        _write(out, start.text, found)
        session.print(f"wrote {out}")
    about = {"boxes": len(sizes), "size": [width, height], "resize": resize, "split": split, "path": out}
    present = {"anchors": start.anchors, **asdict(before)} if before else None
    return {"anchors": found, **asdict(fit), "present": present, **about}


@dataclass(frozen=True, slots=True)
class _Start:
    """What a search for anchors starts from.

    Attributes:
        count: how many to find.
        text: of the cfg; empty for none.
        size: width and height of its input.
        anchors: those that its heads use.
    """

    count: int = _DEFAULT_COUNT
    text: str = ""
    size: tuple[int, int] = (416, 416)
    anchors: Anchors = ()


def _start(cfg: str, count: int | None) -> _Start:
    """Gives what the options say.

    Raises:
        RecipeError: the heads of the cfg use another number of anchors.
    """
    from yoloslim.errors import RecipeError
    from yoloslim.graph.from_cfg import parse_cfg
    from yoloslim.graph.head_anchors import anchors_in_use

    if not cfg:
        return _Start(count or _DEFAULT_COUNT)
    text = _cfg_text(cfg)
    graph = parse_cfg(text, cfg)
    anchors = anchors_in_use(graph)
    if not anchors or count not in (None, len(anchors)):
        wanted = f"--count {count}" if anchors else "a cfg with a [yolo] or [region]"
        raise RecipeError(f"{cfg}: expected {wanted}, found {len(anchors)} anchors in {len(graph.heads)} heads")
    return _Start(len(anchors), text, (graph.input_shape.width, graph.input_shape.height), anchors)


def _cfg_text(name: str) -> str:
    """Gives the text of a cfg file, every byte of it kept, or of a network of the zoo."""
    from yoloslim.cfg.sections import read_text
    from yoloslim.cli.inputs import graph_of
    from yoloslim.graph.to_cfg import to_cfg

    path = Path(name)
    if not path.is_file():
        return to_cfg(graph_of(name))
    read_text(path)  # refuses what is no text
    return path.read_bytes().decode("utf-8", errors="surrogateescape").removeprefix("\ufeff")


def _survey(session: Session, data: str, split: str) -> Survey:
    from yoloslim.cli.eval import open_dataset
    from yoloslim.cli.progress import progress_bar
    from yoloslim.cli.reports import tell_problems
    from yoloslim.data.survey import survey

    dataset = open_dataset(session, data, split, single_class=False)
    with progress_bar(session, "reading labels", len(dataset)) as progress:
        found = survey(dataset, progress)
    tell_problems(found.problems)
    return found


def _show(session: Session, fits: list[tuple[str, AnchorFit]]) -> None:
    from yoloslim.cli.reports import share
    from yoloslim.cli.tables import table
    from yoloslim.data.anchors import RECALL_IOU, RECALL_RATIO

    headings = ("anchors", "mean IoU", f"recall at IoU {RECALL_IOU:g}", f"recall at ratio {RECALL_RATIO:g}")
    rows = [(name, share(fit.mean_iou), share(fit.recall_iou), share(fit.recall_ratio)) for name, fit in fits]
    session.print(table(headings, rows))


def _text(anchors: Anchors) -> str:
    return " ".join(f"{width:g},{height:g}" for width, height in anchors)


def _write(path: Path, cfg_text: str, anchors: Anchors) -> None:
    from yoloslim.files import write_atomically
    from yoloslim.graph.head_anchors import with_anchors

    text = with_anchors(cfg_text, anchors) if cfg_text else f"{_text(anchors)}\n"
    with write_atomically(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", errors="surrogateescape"))
