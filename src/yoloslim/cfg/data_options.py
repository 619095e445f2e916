"""The ``key = value`` text of Darknet's ``.data`` files."""

from __future__ import annotations

import re
from pathlib import Path

from yoloslim.errors import CfgError, DataError

COMMENT = re.compile(r"^\s*[#;].*|\s#.*")  # a whole line, or behind a blank: a path may hold a '#'


def parse_data_options(text: str, *, path: str | Path = "") -> dict[str, str]:
    """Gives the options of a ``.data`` text, in its order.

    Blanks around keys and values do not count. Blanks inside a value stay (Darknet itself would remove them).

    Args:
        text: the content of the file.
        path: the file, for messages.

    Raises:
        CfgError: a line has no ``=``, no key, or a key given before; with file and line.
    """
    options: dict[str, str] = {}
    first_line: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        content = COMMENT.sub("", line).strip()
        if not content:
            continue
        key, equals, value = (part.strip() for part in content.partition("="))
        if not (key and equals):
            raise CfgError(f"expected `key = value`, found {content!r}", path=path, line=number)
        if key in options:
            message = f"{key!r} is given twice, first on line {first_line[key]}: keep one of them"
            raise CfgError(message, path=path, line=number, key=key)
        options[key] = value
        first_line[key] = number
    return options


def read_data_options(path: str | Path) -> dict[str, str]:
    """Gives the options of a ``.data`` file.

    Raises:
        DataError: the file is missing or is not UTF-8 text.
        CfgError: see `parse_data_options`.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: no such data file: correct the path") from None
    except OSError as error:
        raise DataError(f"{path}: data file cannot be read ({error.strerror})") from error
    except UnicodeDecodeError:
        raise DataError(f"{path}: expected a Darknet .data file (UTF-8 text), found binary data") from None
    return parse_data_options(text, path=path)
