"""Darknet's ``.names`` files: one class name a line, the line number gives the class id."""

from __future__ import annotations

from pathlib import Path

from yoloslim.errors import CfgError, DataError


def read_names(path: str | Path, *, referred_by: str = "") -> tuple[str, ...]:
    """Gives the class names in a ``.names`` file; the index of a name is its class id.

    Blank lines at the end are dropped. One between names is an error: Darknet would count it as a class.

    Args:
        path: the file, UTF-8, with or without a byte order mark.
        referred_by: who named the file ("coco.data: names"), for the message when it is missing.

    Raises:
        DataError: the file is missing, cannot be read, or holds no name.
        CfgError: a line between two names is blank.
    """
    names = tuple(line.strip() for line in _read_text(Path(path), referred_by).rstrip().splitlines())
    if not names:
        raise DataError(f"{path}: expected one class name a line, found none{_by(referred_by)}")
    if "" in names:
        raise CfgError(
            "blank line between class names, which Darknet counts as a class: remove it, or name the class",
            path=path,
            line=names.index("") + 1,
        )
    return names


def _read_text(path: Path, referred_by: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: no such names file{_by(referred_by)}: correct the path") from None
    except OSError as error:
        raise DataError(f"{path}: names file cannot be read ({error.strerror}){_by(referred_by)}") from error
    except UnicodeDecodeError:
        raise DataError(f"{path}: expected UTF-8 text, one class name a line{_by(referred_by)}") from None


def _by(referred_by: str) -> str:
    return f" (named by {referred_by})" if referred_by else ""
