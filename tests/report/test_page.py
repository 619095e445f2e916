"""The page of a compression: complete in itself, with every stage, curve and picture."""

import re
from pathlib import Path

import numpy as np

from yoloslim.report.page import Pair, write_page

STAGES = [
    {
        "name": name,
        "params": params,
        "macs": 4_000_000,
        "bytes": 1_000_000,
        "map50": map50,
        "map": 0.5,
        "latency_ms": 2.0,
        "backend": "torch",
    }
    for name, params, map50 in (("dense", 1000, 0.9), ("finetuned <b>", 250, 0.88))
]
CURVES = {"dense": [{"epoch": 1, "map50": 0.4}, {"epoch": 2, "map50": 0.9}], "finetuned": [{"epoch": 1, "loss": 1.0}]}


def page(folder: Path, curves: dict[str, list[dict[str, float]]], pairs: list[Pair]) -> str:
    write_page(folder / "report.html", "squares", STAGES, curves, pairs)
    return (folder / "report.html").read_text(encoding="utf-8")


def test_a_page_tells_what_remains_and_what_was_lost(tmp_path: Path) -> None:
    html = " ".join(page(tmp_path, {}, []).split())

    assert "25 % of the parameters, AP50 0.880 (-2.0 points)" in html
    assert "<td>0.9000</td>" in html


def test_names_are_text_not_markup(tmp_path: Path) -> None:
    html = page(tmp_path, {}, [Pair("<script>.jpg", *[np.zeros((8, 8, 3), np.uint8)] * 2)])

    assert "<script>" not in html
    assert "finetuned &lt;b&gt;" in html


def test_a_page_needs_no_other_file(tmp_path: Path) -> None:
    html = page(tmp_path, CURVES, [Pair("a.jpg", *[np.zeros((8, 8, 3), np.uint8)] * 2)])

    assert html.count("<figure>") == 1
    assert "<svg" in html
    assert all(source.startswith("data:") for source in re.findall(r'src="([^"]*)"', html))


def test_untrained_stages_have_no_curves(tmp_path: Path) -> None:
    assert "<svg" not in page(tmp_path, {"finetuned": CURVES["finetuned"]}, [])
