"""One HTML page about a compression, complete in itself: a table, curves, pictures before and after."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup
from numpy.typing import NDArray

from yoloslim import __version__
from yoloslim.files import write_atomically

Row = Mapping[str, Any]
Picture = NDArray[np.uint8]

_JPEG_QUALITY = 85


@dataclass(frozen=True, slots=True)
class Pair:
    """The same picture with the boxes of two networks.

    Attributes:
        name: of the picture.
        before: shape (H, W, 3), BGR.
        after: likewise.
    """

    name: str
    before: Picture
    after: Picture


def write_page(
    path: Path, title: str, stages: Sequence[Row], curves: Mapping[str, Sequence[Row]], pairs: Sequence[Pair]
) -> None:
    """Writes the page.

    Args:
        stages: a row a stage: name, params, macs, bytes, map50, map, latency_ms, backend.
        curves: by stage, a row an epoch with ``epoch`` and, where measured, ``map50``.
        pairs: pictures of the first and of the last network.
    """
    first = stages[0]
    rows = [
        {**stage, "share": stage["params"] / first["params"], "lost": first["map50"] - stage["map50"]}
        for stage in stages
    ]
    pictures = [{"name": pair.name, "before": _data_url(pair.before), "after": _data_url(pair.after)} for pair in pairs]
    values = {"title": title, "stages": rows, "last": rows[-1], "curves": _curves(curves), "pictures": pictures}
    write_html(path, "page.html", values)


def write_html(path: Path, template: str, values: Mapping[str, Any]) -> None:
    """Writes the page that a template of this package makes of values; text in them stays text."""
    environment = Environment(loader=PackageLoader("yoloslim.report"), autoescape=select_autoescape())
    html = environment.get_template(template).render(version=__version__, **values)
    with write_atomically(path) as temporary:
        temporary.write_text(html, encoding="utf-8")


def _data_url(picture: Picture) -> str:
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}"


def _curves(curves: Mapping[str, Sequence[Row]]) -> Markup:
    """Gives AP50 over the epochs of all stages, one after the other, as SVG; nothing where no stage was trained."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.subplots()
    start = 0.0
    for name, rows in curves.items():
        points = [(start + row["epoch"], row["map50"]) for row in rows if "map50" in row]
        if points:
            axes.plot(*zip(*points, strict=True), marker=".", label=name)
        start += rows[-1]["epoch"] if rows else 0
    if not axes.lines:
        return Markup()
    axes.set(xlabel="epochs, stage after stage", ylabel="AP50", ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend()
    content = io.StringIO()
    figure.savefig(content, format="svg")
    return Markup(content.getvalue()[content.getvalue().index("<svg") :])
