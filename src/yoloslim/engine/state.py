"""Everything that a training needs to go on, in one file that needs no other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from yoloslim.errors import WeightsError
from yoloslim.files import write_atomically


@dataclass(frozen=True, slots=True)
class TrainState:
    """A training between two epochs.

    Attributes:
        tensors: ``model/...``, ``ema/...``, ``optimizer/<parameter>/<slot>``, ``rng/torch``.
        epoch: epochs done.
        step: optimiser steps done.
        ema_steps: updates of the moving average.
        best: best AP50 so far.
        rows: results of the epochs done.
        identity: of the run (settings, cfg, data); another one is not continued.
    """

    tensors: Mapping[str, Tensor]
    epoch: int
    step: int
    ema_steps: int
    best: float
    rows: tuple[dict[str, float], ...]
    identity: str = ""


_NUMBERS = ("epoch", "step", "ema_steps", "best", "rows", "identity")


def save_state(path: Path, state: TrainState) -> None:
    """Writes the state; an earlier one stays whole until the new one is."""
    metadata = {name: json.dumps(getattr(state, name)) for name in _NUMBERS}
    tensors = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in state.tensors.items()
    }
    with write_atomically(path) as temporary:
        save_file(tensors, temporary, metadata)


def load_state_file(path: Path) -> TrainState:
    """Gives the state in a file.

    Raises:
        WeightsError: the file is missing, damaged, or no training state.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        values: dict[str, Any] = {name: json.loads(metadata[name]) for name in _NUMBERS}
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise WeightsError(
            f"{path}: expected the state of a training, found none that can be read ({error})"
        ) from error
    return TrainState(tensors, **{**values, "rows": tuple(values["rows"])})


def optimizer_tensors(optimizer: torch.optim.Optimizer, network: nn.Module) -> dict[str, Tensor]:
    """Gives the optimiser's buffers as ``optimizer/<parameter>/<slot>``."""
    names: dict[Tensor, str] = {parameter: name for name, parameter in network.named_parameters()}
    return {
        f"optimizer/{names[parameter]}/{slot}": value
        for parameter, slots in optimizer.state.items()
        for slot, value in slots.items()
        if isinstance(value, Tensor)
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Puts buffers of ``optimizer_tensors`` back."""
    parameters = dict(network.named_parameters())
    for key, value in tensors.items():
        if key.startswith("optimizer/"):
            name, _, slot = key.removeprefix("optimizer/").rpartition("/")
            parameter = parameters[name]
            optimizer.state[parameter][slot] = value.to(parameter.device).clone()
