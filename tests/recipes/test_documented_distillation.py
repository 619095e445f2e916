"""The page on distillation names every method with its weights, every term, and every key of the table."""

import re
from dataclasses import fields
from pathlib import Path

from yoloslim.compress.distillation.methods import METHODS, TERMS
from yoloslim.recipes.schema import DistillTable

PAGE = (Path(__file__).parents[2] / "docs" / "distillation.md").read_text("utf-8")


def test_methods_are_documented_with_their_weights() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ((?:\w+ [\d.]+(?:, )?)+) \|$", PAGE, re.MULTILINE)

    found = {name: {term: float(weight) for term, weight in re.findall(r"(\w+) ([\d.]+)", text)} for name, text in rows}

    assert found == METHODS


def test_terms_are_documented() -> None:
    assert re.findall(r"^\*\*(\w+)\.\*\*", PAGE, re.MULTILINE) == list(TERMS)


def test_keys_are_documented() -> None:
    table = PAGE.split("| `[distill]` key |")[1].split("\n\n")[0]

    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [field.name for field in fields(DistillTable)]
