"""What figures were measured with and on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("yoloslim", "torch", "numpy", "opencv-python-headless", "faster-coco-eval")


def versions() -> dict[str, str]:
    """Gives the versions of the packages that figures depend on."""
    return {name: version(name) for name in PACKAGES}


def machine() -> dict[str, Any]:
    """Gives the processor, the number of its cores, and the system."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    models = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return {"cpu": models[0] if models else platform.processor(), "cores": os.cpu_count(), "system": platform.system()}
