"""Typed reading of one section's options by its schema."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass

from yoloslim.cfg.schema import REFUSED_SECTIONS, SCHEMA, SECTION_ALIASES, Key
from yoloslim.cfg.sections import Section
from yoloslim.errors import CfgError


def full_name(section: Section) -> str:
    """Gives the name of a section without Darknet's other names for it."""
    return SECTION_ALIASES.get(section.name, section.name)


def kind_of(section: Section) -> str:
    """Gives the schema name of a section.

    Raises:
        CfgError: the section cannot be honoured, or none of that name is known; names the nearest known one.
    """
    name = full_name(section)
    if name in REFUSED_SECTIONS:
        raise section.error(REFUSED_SECTIONS[name])
    if name not in SCHEMA:
        near = difflib.get_close_matches(name, SCHEMA, n=1)
        hint = f"; did you mean [{near[0]}]?" if near else f"; known: {', '.join(sorted(SCHEMA, key=str.lower))}"
        raise section.error(f"is not a section that can be read{hint}")
    return name


def unknown_keys(section: Section) -> list[str]:
    """Gives the keys of a section that its schema does not list."""
    known = SCHEMA[kind_of(section)]
    return [option.key for option in section.options if option.key not in known]


def wrong_values(section: Section) -> list[CfgError]:
    """Gives what is wrong with each value of a section by itself, in the order of the lines."""
    errors = []
    for key in dict.fromkeys(option.key for option in section.options if option.key in SCHEMA[kind_of(section)]):
        others = {option.key for option in section.options} - {key}
        try:
            Options(section.without(others)).check(key)
        except CfgError as error:
            errors.append(error)
    return errors


def idle_keys(section: Section) -> list[str]:
    """Gives the keys of a section that are kept without an effect here, and known for one in Darknet."""
    known = SCHEMA[kind_of(section)]
    return [option.key for option in section.options if option.key in known and known[option.key].idle]


@dataclass(frozen=True, slots=True)
class Options:
    """Typed view of a section: every value is checked for kind and range when it is read."""

    section: Section

    def __post_init__(self) -> None:
        for name, key in self._schema.items():
            if key.refused and self._value(name, key) != key.default:
                raise self.section.error(f"{name}={self._text(name)}: {key.refused}", key=name)

    def has(self, name: str) -> bool:
        """Tells whether the section sets this key."""
        return self.section.find(name) is not None

    def check(self, name: str) -> None:
        """Makes sure that a value is of its key's kind and within its range, where the section sets it.

        Raises:
            CfgError: it is not.
        """
        self._value(name, self._schema[name])

    def integer(self, name: str) -> int:
        """Gives a whole number."""
        return int(self._number(name))

    def number(self, name: str) -> float:
        """Gives a number."""
        return self._number(name)

    def flag(self, name: str) -> bool:
        """Gives a switch: every number but 0 is on."""
        return bool(self._get(name))

    def text(self, name: str) -> str:
        """Gives a word."""
        return str(self._get(name))

    def integers(self, name: str) -> tuple[int, ...]:
        """Gives a list of whole numbers."""
        return tuple(int(value) for value in self.numbers(name))

    def numbers(self, name: str) -> tuple[float, ...]:
        """Gives a list of numbers, at least one."""
        value = self._get(name)
        assert isinstance(value, tuple)
        return value

    @property
    def _schema(self) -> dict[str, Key]:
        return dict(SCHEMA[kind_of(self.section)])

    def _number(self, name: str) -> float:
        value = self._get(name)
        assert isinstance(value, int | float)
        return value

    def _text(self, name: str) -> str:
        option = self.section.find(name)
        return option.value if option else ""

    def _get(self, name: str) -> int | float | str | tuple[float, ...]:
        value = self._value(name, SCHEMA[kind_of(self.section)][name])
        if value is None:
            raise self.section.error(f"needs {name}=", key=name)
        return value

    def _value(self, name: str, key: Key) -> int | float | str | tuple[float, ...] | None:
        option = self.section.find(name)
        if option is None:
            return key.default
        if key.kind == "text":
            return self._word(name, option.value, key)
        if key.kind not in ("integers", "numbers"):
            return self._parse(name, option.value, key)
        parts = [part for part in option.value.split(",") if part.strip()] or [option.value]
        return tuple(self._parse(name, part, key) for part in parts)

    def _parse(self, name: str, text: str, key: Key) -> float:
        whole = key.kind in ("integer", "integers", "flag")
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or (whole and value != int(value)):
            expected = "a whole number" if whole else "a number"
            raise self.section.error(
                f"{name}={self._text(name)}: expected {expected}, found '{text.strip()}'", key=name
            )
        if not key.minimum <= value <= key.maximum:
            bounds = f"{key.minimum:g} to {key.maximum:g}"
            raise self.section.error(f"{name}={text.strip()} is out of range; expected {bounds}", key=name)
        return int(value) if whole else value

    def _word(self, name: str, text: str, key: Key) -> str:
        if key.choices and text not in key.choices:
            near = difflib.get_close_matches(text, key.choices, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(sorted(key.choices))}"
            raise self.section.error(f"{name}={text} is not known{hint}", key=name)
        return text
