"""What this machine has that matters here, and what is wrong with it, as rows to read."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from yoloslim import __version__
from yoloslim.downloads.remote import cache_folder as downloads_folder
from yoloslim.recipes.machine import cores, graphics_cards, instruction_sets, memory_bytes, processor, versions

ESSENTIAL = {
    "torch": "torch",
    "numpy": "numpy",
    "opencv-python-headless": "cv2",
    "lightning-fabric": "lightning_fabric",
    "faster-coco-eval": "faster_coco_eval",
    "safetensors": "safetensors",
    "pydantic": "pydantic",
    "pooch": "pooch",
    "matplotlib": "matplotlib",
}
"""Packages without which hardly anything works, and the module that each brings."""

OPTIONAL = {"onnx": "onnx", "onnxruntime": "onnx", "openvino": "openvino", "optuna": "search", "scikit-learn": "demo"}
"""Packages that some commands need, and the extra that installs each."""

_OTHER_OPENCVS = ("opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless")
_GB = 1e9
_LOW_DISK_BYTES = 5e9  # a data set and a few runs
_LOW_SHARED_BYTES = 256e6  # of a container by default: 64 MB; batches go through it from worker to trainer
_DATA_VARIABLE = "YOLOSLIM_TEST_DATA"
_SHARED_MEMORY = Path("/dev/shm")

State = Literal["ok", "absent", "doubtful", "broken"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: was looked at.
        found: what there is.
        state: ``absent`` is optional; ``doubtful`` works, but not as it could; ``broken`` stops most commands.
        advice: what to do; empty where there is nothing.
    """

    what: str
    found: str
    state: State = "ok"
    advice: str = ""


def examine() -> Iterator[Finding]:
    """Gives everything that is looked at, one after the other."""
    yield Finding("yoloslim", f"{__version__}, Python {platform.python_version()}, {platform.platform()}")
    yield from map(_essential, ESSENTIAL)
    yield from _other_opencvs()
    yield from map(_optional, OPTIONAL)
    yield _processor()
    if memory_bytes():
        yield Finding("free memory", f"{memory_bytes() / _GB:.1f} GB")
    yield from _graphics()
    yield from _shared_memory()
    yield from _folders()


def _essential(package: str) -> Finding:
    try:
        module = importlib.import_module(ESSENTIAL[package])
    except Exception as error:  # noqa: BLE001 (whatever stops an import is what is to be told)
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Finding(package, f"cannot be imported: {reason}", "broken", f"pip install --force-reinstall {package}")
    found = versions([package]).get(package) or str(getattr(module, "__version__", "of unknown version"))
    threads = f", {module.get_num_threads()} threads" if package == "torch" else ""
    return Finding(package, f"{found}{threads}")


def _other_opencvs() -> Iterator[Finding]:
    for package, version in versions(_OTHER_OPENCVS).items():
        found = f"{version}: overwrites files of opencv-python-headless"
        yield Finding(package, found, "doubtful", f"pip uninstall {package}, then reinstall opencv-python-headless")


def _optional(package: str) -> Finding:
    found = versions([package])
    if package in found:
        return Finding(package, found[package])
    return Finding(package, "not installed", "absent", f"pip install 'yoloslim[{OPTIONAL[package]}]'")


def _processor() -> Finding:
    sets = instruction_sets()
    has_bfloat16 = {"BF16", "AMX"} & set(sets)
    advice = "try --set train.precision=bf16-mixed: dense networks train faster" if has_bfloat16 else ""
    return Finding("processor", f"{processor()}, {cores()} cores, {', '.join(sets) or 'unknown sets'}", advice=advice)


def _graphics() -> Iterator[Finding]:
    cards = graphics_cards()
    try:
        import torch

        usable = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    except Exception:  # noqa: BLE001 (told with the packages)
        usable = []
    if cards and not usable:
        advice = "install a build of torch for CUDA (https://pytorch.org/get-started/locally), or a newer driver"
        yield Finding("GPU", f"{', '.join(cards)}, which torch cannot use", "doubtful", advice)
    else:
        yield Finding("GPU", ", ".join(usable) or "none")


def _shared_memory() -> Iterator[Finding]:
    if _SHARED_MEMORY.is_dir():
        free = shutil.disk_usage(_SHARED_MEMORY).free
        is_low = free < _LOW_SHARED_BYTES
        advice = "give the container more (docker run --shm-size 2g), or train with workers = 0" if is_low else ""
        yield Finding("shared memory", f"{free / _GB:.1f} GB free", "doubtful" if is_low else "ok", advice)


def _folders() -> Iterator[Finding]:
    if importlib.util.find_spec("pooch"):  # else it is told with the packages
        yield _writable("cache", downloads_folder())
    yield _writable("runs", Path("runs"))
    data = os.environ.get(_DATA_VARIABLE)
    if data:
        is_there = Path(data).is_dir()
        advice = "" if is_there else f"export {_DATA_VARIABLE}=FOLDER, where the data of the examples is"
        yield Finding("data", data if is_there else f"{data}: no folder", "ok" if is_there else "doubtful", advice)


def _writable(what: str, path: Path) -> Finding:
    there = next(each for each in (path, *path.absolute().parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        return Finding(what, f"{path}: cannot be written", "doubtful", f"make {there} writable, or use another folder")
    free = shutil.disk_usage(there).free
    is_low = free < _LOW_DISK_BYTES
    advice = "make room, or use another folder" if is_low else ""
    return Finding(what, f"{path.absolute()}, {free / _GB:.1f} GB free", "doubtful" if is_low else "ok", advice)
