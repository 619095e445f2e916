"""One HTML page about a run, complete in itself: tables, pictures, the recipe."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from yoloslim.report.page import write_html


@dataclass(frozen=True, slots=True)
class PageTable:
    """A table of the page, its cells as text."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class RunPage:
    """What a page says.

    Attributes:
        lead: the most important figures, in a sentence.
        pictures: files of pictures that are shown; they become part of the page.
        recipe: of the run; empty where it has none.
    """

    title: str
    lead: str
    tables: tuple[PageTable, ...]
    pictures: tuple[Path, ...] = ()
    recipe: str = ""


def write_run_page(path: Path, page: RunPage) -> None:
    """Writes the page.

    Raises:
        OSError: a picture cannot be read.
        OutputError: the page cannot be written.
    """
    write_html(path, "run.html", {**asdict(page), "pictures": _embedded(page.pictures)})


def _embedded(pictures: Sequence[Path]) -> list[dict[str, str]]:
    found = []
    for path in pictures:
        kind, _ = mimetypes.guess_type(path.name)
        content = base64.b64encode(path.read_bytes()).decode()
        found.append({"name": path.name, "url": f"data:{kind};base64,{content}"})
    return found
