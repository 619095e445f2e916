"""From a model to files."""

from __future__ import annotations

from pathlib import Path

from yoloslim import __version__
from yoloslim.errors import WeightsError
from yoloslim.files import write_atomically
from yoloslim.graph.to_cfg import to_cfg
from yoloslim.runtime.load import CHECKPOINT_SUFFIX, HEADER_KEY, Model, require_float
from yoloslim.weights.checkpoint import Checkpoint, save_checkpoint
from yoloslim.weights.darknet import write_weights


def save_as(model: Model, path: Path, *, cutoff: int | None = None) -> tuple[Path, ...]:
    """Writes a model in the format of the path's suffix and gives the files written.

    A ``.weights`` gets its cfg beside it, unless one of that name is there.

    Raises:
        WeightsError: the suffix is neither .weights nor .safetensors, or the file cannot be written.
    """
    check_format(path, cutoff)
    if path.suffix == CHECKPOINT_SUFFIX:
        save_checkpoint(path, checkpoint_of(model))
        return (path,)
    write_darknet_weights(model, path, cutoff=cutoff)
    beside = path.with_suffix(".cfg")
    if cutoff is not None or beside.exists():
        return (path,)
    write_cfg(model, beside)
    return (path, beside)


def check_format(path: Path, cutoff: int | None) -> None:
    """Makes sure that a file of this name can be written; the leading layers alone may have any.

    Raises:
        WeightsError: the suffix is neither .weights nor .safetensors.
    """
    if cutoff is None and path.suffix not in (".weights", CHECKPOINT_SUFFIX):
        raise WeightsError(f"{path}: can write .weights and .safetensors, found '{path.suffix}'")


def save_all(model: Model, folder: Path, stem: str) -> tuple[Path, Path, Path]:
    """Writes ``stem.cfg``, ``stem.weights`` and ``stem.safetensors`` into a folder and gives their paths."""
    cfg, weights, checkpoint = (folder / f"{stem}{suffix}" for suffix in (".cfg", ".weights", CHECKPOINT_SUFFIX))
    write_cfg(model, cfg)
    write_darknet_weights(model, weights)
    save_checkpoint(checkpoint, checkpoint_of(model))
    return cfg, weights, checkpoint


def write_cfg(model: Model, path: Path) -> None:
    """Writes the network's cfg."""
    with write_atomically(path) as temporary:
        temporary.write_text(to_cfg(model.graph), encoding="utf-8")


def write_darknet_weights(model: Model, path: Path, *, cutoff: int | None = None) -> None:
    """Writes the network's weights in Darknet's format, with the header it came with.

    Raises:
        WeightsError: the network is quantized, which the format cannot say.
    """
    require_float(model, f"{path}: a Darknet file")
    tensors = {name: tensor.float().cpu().numpy() for name, tensor in model.network.state_dict().items()}
    write_weights(path, model.graph, tensors, header=model.header, cutoff=cutoff)


def checkpoint_of(model: Model) -> Checkpoint:
    """Gives the self-describing form of a model."""
    return Checkpoint(
        graph=model.graph,
        tensors=dict(model.network.state_dict()),
        names=model.names,
        resize=model.resize,
        quantization=model.quantization,
        origin=model.origin,
        provenance={**model.provenance, "yoloslim": __version__, HEADER_KEY: list(model.header)},
    )
