"""Every error a user can cause, as one tree.

YoloslimError
├── CfgError        a .cfg, .data or .names file says something that cannot be honoured
├── WeightsError    a weights file or checkpoint does not fit, or is damaged
├── PlanError       a pruning plan does not fit its network
├── RecipeError     a recipe or an option is wrong
├── DataError       pictures, labels or data files are wrong
├── DownloadError   a file cannot be fetched, or is not the one that was published
├── OutputError     a result cannot be written
├── TargetError     a network cannot run on the chosen target
└── BackendMissing  an optional package is not installed

A message says what was expected, what was found, where, and what to do next, in one line.
"""

from __future__ import annotations

from pathlib import Path


class YoloslimError(Exception):
    """Root of the tree: the command line prints it as one line and exits with 2."""


class CfgError(YoloslimError):
    """A cfg problem with its place, printed as ``file.cfg:118: [route] layers=-9 ...``.

    Args:
        message: what was found, what was expected and what to do.
        path: the file, as the user wrote it.
        line: line number, from 1; 0 when the problem belongs to no line.
        key: the key of the section that is wrong, if one is.
    """

    def __init__(self, message: str, *, path: str | Path = "", line: int = 0, key: str = "") -> None:
        place = f"{path}:{line}" if line else str(path)
        super().__init__(f"{place}: {message}" if place else message)
        self.message = message
        self.path = str(path)
        self.line = line
        self.key = key


class WeightsError(YoloslimError):
    """A weights file or checkpoint that does not fit its network, or is damaged."""


class PlanError(YoloslimError):
    """A pruning plan that does not fit its network."""


class RecipeError(YoloslimError):
    """A recipe or command-line option that is wrong."""


class DataError(YoloslimError):
    """Pictures, labels or data files that are wrong."""


class DownloadError(YoloslimError):
    """A file that cannot be fetched, or is not the one that was published."""


class OutputError(YoloslimError):
    """A result that cannot be written."""


class TargetError(YoloslimError):
    """A network that the chosen target cannot run."""


def is_out_of_memory(error: BaseException) -> bool:
    """Tells whether memory ran out; torch has a class of its own for the GPU, and for the CPU only a text."""
    text = f"{type(error).__name__} {error}"
    return isinstance(error, MemoryError) or "OutOfMemoryError" in text or "DefaultCPUAllocator" in text


class BackendMissing(YoloslimError):
    """An optional package is missing.

    Args:
        extra: the extra of this package that installs it.
        purpose: what needs it, for the message.
    """

    def __init__(self, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the '{extra}' extra: pip install 'yoloslim[{extra}]'")
        self.extra = extra
