"""cfg text <-> sections, without loss but for comments and blank lines (Darknet's parser.c, read_cfg)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from yoloslim.errors import CfgError

_COMMENT = re.compile(r"(^|\s)[#;].*$")


@dataclass(frozen=True, slots=True)
class Option:
    """One ``key=value`` line.

    Attributes:
        line: line number in its file, from 1; 0 for an option that was never read from a file.
    """

    key: str
    value: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Section:
    """One ``[name]`` with its options, in the order of the file.

    Attributes:
        name: what stands between the brackets, as written.
        line: line number of the header, from 1; 0 for a section that was never read from a file.
        path: the file it came from, for messages.
    """

    name: str
    options: tuple[Option, ...] = ()
    line: int = 0
    path: str = ""

    def find(self, key: str) -> Option | None:
        """Gives the first option of that key, as Darknet's option_find does, or None."""
        return next((option for option in self.options if option.key == key), None)

    def error(self, message: str, *, key: str = "") -> CfgError:
        """Gives an error that points at ``key`` in this section, or at its header."""
        option = self.find(key)
        return CfgError(f"[{self.name}] {message}", path=self.path, line=option.line if option else self.line, key=key)

    def updated(self, changes: Mapping[str, str]) -> Section:
        """Gives the section with new values: keys that exist stay in place, others are added at the end."""
        options = [replace(o, value=changes[o.key]) if o.key in changes else o for o in self.options]
        present = {option.key for option in self.options}
        options += [Option(key, value) for key, value in changes.items() if key not in present]
        return replace(self, options=tuple(options))

    def without(self, keys: Collection[str]) -> Section:
        """Gives the section without these keys."""
        return replace(self, options=tuple(option for option in self.options if option.key not in keys))


def read_sections(path: str | Path) -> tuple[Section, ...]:
    """Gives the sections of a cfg file.

    Raises:
        CfgError: the file cannot be read, or is no cfg text.
    """
    return parse_sections(read_text(path), path=str(path))


def read_text(path: str | Path) -> str:
    """Gives the text of a cfg file.

    Raises:
        CfgError: the file cannot be read, or holds no text.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise CfgError(f"cannot read this cfg: {error.strerror}", path=path) from error
    if b"\0" in data[:4096]:
        raise CfgError("expected cfg text, found binary data; is this the weights file?", path=path)
    return data.decode("utf-8-sig", errors="replace")


def parse_sections(text: str, path: str = "") -> tuple[Section, ...]:
    """Gives the sections of a cfg text; ``path`` is only for messages.

    Raises:
        CfgError: a line is neither ``[section]`` nor ``key=value``, or stands before the first section.
    """
    sections: list[Section] = []
    options: list[Option] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = _COMMENT.sub("", raw).strip()
        if not line:
            continue
        if line.startswith("["):
            _close(sections, options)
            sections.append(Section(_header(line, path, number), (), number, path))
        elif not sections:
            raise CfgError(f"'{line[:40]}' stands before the first [section]", path=path, line=number)
        else:
            options.append(_option(line, path, number))
    _close(sections, options)
    return tuple(sections)


def write_sections(sections: Iterable[Section]) -> str:
    """Gives the cfg text of ``sections``."""
    blocks = ("".join([f"[{s.name}]\n", *(f"{o.key}={o.value}\n" for o in s.options)]) for s in sections)
    return "\n".join(blocks)


def _close(sections: list[Section], options: list[Option]) -> None:
    if options:
        sections[-1] = replace(sections[-1], options=tuple(options))
        options.clear()


def _header(line: str, path: str, number: int) -> str:
    if not line.endswith("]") or not line[1:-1].strip():
        raise CfgError(f"expected [section], found '{line[:40]}'", path=path, line=number)
    return line[1:-1].strip()


def _option(line: str, path: str, number: int) -> Option:
    key, equals, value = line.partition("=")
    if not equals or not key.strip():
        raise CfgError(f"expected key=value, found '{line[:40]}'", path=path, line=number)
    return Option(key.strip(), value.strip(), number)
