"""What is wrong with the tables of a recipe, in a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_KINDS: Mapping[str, str] = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "string": "text",
    "tuple": "a list",
    "list": "a list",
    "dict": "a section",
    "mapping": "a section",
    "dataclass": "a section",
}
"""By the first word of pydantic's name for an error."""

_TYPES = {"bool", "int", "float", "str"}


def first_fault(error: ValidationError) -> str:
    """Gives the first of pydantic's errors: its place, what was expected, and what was found."""
    errors = error.errors()
    first = errors[0]
    keys = _keys(first)
    if first["type"] == "missing":
        table, *rest = keys
        return f"[{table}] {rest[0]} is missing" if rest else f"[{table}] is missing"
    kinds = dict.fromkeys(kind for each in errors if _keys(each) == keys if (kind := _kind(each)))
    text = f"expected {' or '.join(kinds)}" if kinds else f"{first['msg'][0].lower()}{first['msg'][1:]}"
    return f"{'.'.join(keys)}: {text}, found {first['input']!r}"


def _keys(error: ErrorDetails) -> Sequence[str]:
    """Where it is, without the types that pydantic names where several are allowed."""
    return [str(part) for part in error["loc"] if part not in _TYPES and "[" not in str(part)]


def _kind(error: ErrorDetails) -> str | None:
    """What would be right there; None where only pydantic's words tell."""
    match error["type"]:
        case "literal_error":
            return str(error["ctx"]["expected"])
        case "too_long":
            return f"a list of {error['ctx']['max_length']} at most"
        case name:
            return _KINDS.get(name.split("_")[0])
