"""What the originals' flags name: networks of theirs that are no files, weights under our suffix, devices by number."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from yoloslim.errors import CfgError, RecipeError, WeightsError
from yoloslim.files import next_folder, write_atomically

CHECKPOINT = ".safetensors"
WEIGHTS_FOLDER = Path("weights")
"""Where ``train.py`` leaves ``last`` and ``best``."""

RUNS = Path("runs") / "train"
"""Where ``train.py`` works."""

_GREY_FOLDER = Path("runs") / "compat"

_NETWORKS: Mapping[str, str] = {
    "yolov3tiny-mobilenet-small": "yolov3tiny-mobilenetv3-small",
    "yolov3-tiny-mobilenet-small": "yolov3tiny-mobilenetv3-small",
    "yolov3tiny-mobilenetv3-small": "yolov3tiny-mobilenetv3-small",
    "yolov3-mobilenetv3": "yolov3-mobilenetv3",
    "yolov3-mobilenet": "yolov3-mobilenetv3",
    "yolov3tiny": "yolov3-tiny",
    "yolov4tiny": "yolov4-tiny",
    "yolov2tiny": "yolov2-tiny",
}
"""Networks as they call them, and as the zoo does; longer names stand before those that they begin with."""


class Named(NamedTuple):
    """What a flag names.

    Attributes:
        value: as ``yoloslim`` takes it.
        note: what the user should know of it; empty where it is what it says.
    """

    value: str
    note: str = ""


def settled(given: Namespace) -> tuple[Namespace, tuple[str, ...]]:
    """Gives the flags with cfg and weights as ``yoloslim`` takes them, and notes on that.

    Raises:
        RecipeError: pictures are to be scaled to -1..1.
        CfgError: a cfg is neither a file nor a network of the zoo, or cannot be honoured.
    """
    if getattr(given, "maxabsscaler", False):
        raise RecipeError(
            "--maxabsscaler: networks here read pictures in 0..1, where what is padded is black, not grey: leave it out"
        )
    found, notes = _with_files(given, "")
    if found.cfg and found.gray_scale:
        found = _changed(found, cfg=str(grey_cfg(found.cfg)))
    return found, notes


def settled_model(given: Namespace) -> tuple[Namespace, tuple[str, ...]]:
    """Gives `settled` flags of a network that is complete: it has weights, and a checkpoint needs no cfg."""
    notes = []
    if not given.weights:
        given = _changed(given, weights=str(_left_weights()))
        notes.append(f"--weights is not given: {given.weights}, which train.py left, is taken")
    weights, note = find_weights(given.weights)
    notes += [note] if note else []
    if given.cfg and Path(weights).suffix == CHECKPOINT:
        notes.append(f"{weights} brings its own network: --cfg {given.cfg} is not read")
        given = _changed(given, cfg="")
    found, more = settled(_changed(given, weights=weights))
    return found, (*notes, *more)


def settled_training(given: Namespace) -> tuple[Namespace, tuple[str, ...]]:
    """Gives `settled` flags of a training: with its teacher, and with what the machine and earlier runs decide.

    Adds ``precision`` and ``out``, the folder of a training that has a name or several processes; with ``--resume``
    ``run`` alone, the folder of the last training.

    Raises:
        RecipeError: ``--resume`` finds no training.
    """
    if given.resume:
        return _changed(given, run=str(_last_run())), ()
    found, notes = settled(given)
    found, of_teacher = _with_files(found, "t_")
    if found.t_cfg and Path(found.t_weights).suffix == CHECKPOINT:
        of_teacher = (*of_teacher, f"{found.t_weights} brings its own network: --t_cfg {found.t_cfg} is not read")
        found = _changed(found, t_cfg="")
    precision = _mixed_precision(found.device) if found.mixedprecision else ""
    return _changed(found, precision=precision, out=_out(found.name)), (*notes, *of_teacher)


def _changed(given: Namespace, **values: object) -> Namespace:
    return Namespace(**{**vars(given), **values})


def _with_files(given: Namespace, prefix: str) -> tuple[Namespace, tuple[str, ...]]:
    """The flags whose cfg and weights, named with a prefix, are as ``yoloslim`` takes them, and notes."""
    cfg, weights = find_cfg(getattr(given, f"{prefix}cfg")), find_weights(getattr(given, f"{prefix}weights"))
    found = _changed(given, **{f"{prefix}cfg": cfg.value, f"{prefix}weights": weights.value})
    return found, tuple(note for note in (cfg.note, weights.note) if note)


def _mixed_precision(device: str) -> str:
    """What mixed precision is on a device: bfloat16 on a CPU, float16 on a GPU."""
    if device == "cpu":
        return "bf16-mixed"
    import torch

    return "16-mixed" if torch.cuda.is_available() else "bf16-mixed"


def _out(name: str) -> str:
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:  # the processes cannot agree on a number
        return str(RUNS / (name or "processes"))
    return str(next_folder(RUNS, name)) if name else ""


def _last_run() -> Path:
    states = sorted(RUNS.glob("*/state.safetensors"), key=lambda path: path.stat().st_mtime)
    if not states:
        raise RecipeError(f"--resume: expected the folder of a training in {RUNS}, found none: train without it first")
    return states[-1].parent


def find_cfg(text: str) -> Named:
    """Gives the network that ``--cfg`` names: a file, else a network of the zoo under the originals' name.

    Raises:
        CfgError: it is neither.
    """
    if not text or Path(text).exists():
        return Named(text)
    name = zoo_name(Path(text).stem)
    return Named(name, f"{text} is no file: {_described(text, name)}")


def zoo_name(stem: str) -> str:
    """Gives the zoo's name of a network that the originals call ``stem``, as ``yolov3tiny-hand``."""
    stem = stem.lower()
    for theirs, ours in _NETWORKS.items():
        if stem == theirs or stem.startswith(f"{theirs}-"):
            return ours + stem.removeprefix(theirs)
    return stem


def find_weights(text: str) -> Named:
    """Gives the weights that a flag names: a file, what ``train.py`` wrote in its place, or published weights.

    Training writes ``.safetensors`` for their ``.pt``. Where both are there, the newer counts.
    """
    from yoloslim.weights.published import PUBLISHED

    path = Path(text)
    ours = path.with_suffix(CHECKPOINT) if text else path
    if path.suffix == ".pt" and ours.is_file() and not (path.is_file() and _is_newer(path, ours)):
        return Named(str(ours), f"{text}: {ours} is taken, which train.py writes instead")
    name = next((name for name in (path.name, path.stem) if name in PUBLISHED), "")
    if name and not path.is_file():
        return Named(name, f"{text} is no file: the published weights {name} are taken")
    return Named(text)


def find_device(text: str) -> Named:
    """Gives the device of ``--device``: ``cpu``, a GPU's number, or several."""
    first, *others = [word.strip() for word in text.split(",")]
    device = f"cuda:{first}" if first.isdigit() else first
    if not others:
        return Named(device)
    note = f"--device {text}: {device} alone is used; torchrun starts a training on several"
    return Named(device, f"{note}: docs/training.md")


def grey_cfg(name: str) -> Path:
    """Writes the cfg of a network with one channel in its input, and gives its path; that of a grey cfg is its own.

    Raises:
        CfgError: the cfg cannot be honoured.
    """
    from yoloslim.cli.inputs import graph_of
    from yoloslim.graph.to_cfg import to_cfg

    graph = graph_of(name)
    if graph.input_shape.channels == 1:
        return Path(name)
    grey = replace(
        graph, input_shape=graph.input_shape._replace(channels=1), section=graph.section.updated({"channels": "1"})
    )
    path = _GREY_FOLDER / f"{Path(name).stem}-gray.cfg"
    with write_atomically(path) as temporary:
        temporary.write_text(to_cfg(grey), encoding="utf-8")
    return path


def _described(text: str, name: str) -> str:
    from yoloslim.zoo.catalog import find

    try:
        graph = find(name)
    except RecipeError as error:
        raise CfgError(f"no such cfg file, nor a network of that name: {error}", path=text) from error
    return f"the zoo's {name} is taken (classes: {graph.classes}, with their anchors)"


def _left_weights() -> Path:
    found = [path for name in ("best", "last") if (path := WEIGHTS_FOLDER / f"{name}{CHECKPOINT}").is_file()]
    if not found:
        text = f"--weights is not given, and train.py left none in {WEIGHTS_FOLDER}"
        raise WeightsError(f"{text}: train first, or give it")
    return found[0]


def _is_newer(path: Path, other: Path) -> bool:
    return path.stat().st_mtime > other.stat().st_mtime
