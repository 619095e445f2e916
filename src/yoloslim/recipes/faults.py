"""What is wrong with the tables of a recipe, in a line."""

from __future__ import annotations

from pydantic import ValidationError


def first_fault(error: ValidationError) -> str:
    """Gives the first of pydantic's errors: its place, what was expected, and what was found."""
    first = error.errors()[0]
    if first["type"] == "missing":
        table, *keys = [str(part) for part in first["loc"]]
        return f"[{table}] {keys[0]} is missing" if keys else f"[{table}] is missing"
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg'][0].lower()}{first['msg'][1:]}, found {first['input']!r}"
