"""What this machine is: its processor, memory and graphics cards, and which packages it has."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

INSTRUCTION_SETS = {
    "AVX2": {"avx2"},
    "AVX-512": {"avx512f"},
    "VNNI": {"avx512_vnni", "avx_vnni"},
    "BF16": {"avx512_bf16", "bf16"},
    "AMX": {"amx_tile"},
    "NEON": {"asimd"},
    "dot products": {"asimddp"},
}
"""What makes networks fast on a processor, and the flags by which Linux says so, one of which is enough."""


def processor() -> str:
    """Gives the processor's name, as far as the system tells."""
    return _cpu_field("model name") or platform.processor() or platform.machine()


def cores() -> int:
    """Gives the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load() -> float:
    """Gives how many programs wanted to compute at once in the last minute, on average; 0 where nobody counts."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def instruction_sets() -> tuple[str, ...]:
    """Gives the names of `INSTRUCTION_SETS` that the processor has; none where the system does not tell."""
    flags = set((_cpu_field("flags") or _cpu_field("Features")).split())
    return tuple(name for name, known in INSTRUCTION_SETS.items() if known & flags)


def memory_bytes() -> int:
    """Gives the memory that programs may still use, bytes; 0 where the system does not tell."""
    found = re.search(r"MemAvailable:\s+(\d+) kB", _text("/proc/meminfo"))
    return int(found[1]) * 1024 if found else 0


def graphics_cards() -> tuple[str, ...]:
    """Gives the names of NVIDIA's cards, asked of their driver, whether or not torch can use them."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=20, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(done.stdout.split("\n")[:-1]) if done.returncode == 0 else ()


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Gives the versions of those packages that are installed."""
    found = {}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _cpu_field(name: str) -> str:
    found = re.search(rf"^{name}\s*:\s*(.+)$", _text("/proc/cpuinfo"), re.MULTILINE)
    return found[1].strip() if found else ""


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
