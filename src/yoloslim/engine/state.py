"""Everything that a training needs to go on, in one file that needs no other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from yoloslim.errors import RecipeError, WeightsError
from yoloslim.files import write_atomically


@dataclass(frozen=True, slots=True)
class TrainState:
    """A training between two steps of the optimiser.

    Attributes:
        tensors: ``model/...``, ``ema/...``, ``optimizer/<parameter>/<slot>``, ``probes/...`` of what learns beside the
            network, and ``rng/torch``, a row a process.
        epoch: epochs done.
        batch: batches done of the epoch that has begun; 0 between two epochs.
        step: optimiser steps done.
        ema_steps: updates of the moving average.
        sums: of each term of the loss, over those batches.
        rows: results of the epochs done.
        scaler: state of the gradient scaler; empty where there is none.
        identity: of the run (settings, cfg, data); another one is not continued.
    """

    tensors: Mapping[str, Tensor]
    epoch: int
    batch: int
    step: int
    ema_steps: int
    sums: Mapping[str, float]
    rows: tuple[dict[str, float], ...]
    scaler: Mapping[str, Any]
    identity: str = ""


STATE = "state.safetensors"
"""A training's state in its folder."""

_VALUES = tuple(field.name for field in fields(TrainState) if field.name != "tensors")
_KINDS: Mapping[str, type] = dict.fromkeys(("epoch", "batch", "step", "ema_steps"), int) | {
    "sums": dict,
    "rows": list,
    "scaler": dict,
    "identity": str,
}
"""What each value is in JSON."""


def save_state(path: Path, state: TrainState) -> None:
    """Writes the state; an earlier one stays whole until the new one is."""
    metadata = {name: json.dumps(getattr(state, name)) for name in _VALUES}
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
        values = {name: _value(name, metadata) for name in _VALUES}
        return TrainState(tensors, **{**values, "rows": tuple(values["rows"])})
    except (OSError, SafetensorError, ValueError) as error:
        raise _damaged(path, f"none that can be read ({error})") from error


def check_identity(state: TrainState, identity: str, folder: Path) -> None:
    """Makes sure that a state is of the training that is to go on.

    Raises:
        RecipeError: it is of another one.
    """
    if state.identity != identity:
        text = "holds the state of another training (settings, network or data changed)"
        raise RecipeError(f"{folder}: {text}; choose another folder, or remove it to start anew")


def check_state(state: TrainState, network: nn.Module, probes: nn.Module, learner: nn.Module, path: Path) -> None:
    """Makes sure that a state has the tensors of a network and its training.

    Args:
        probes: what learns beside the network.
        learner: what the optimiser's buffers are named by: the network, or both.

    Raises:
        WeightsError: some are missing, of another shape, or of another network.
    """
    parts = {"model": network, "ema": network, "probes": probes}
    needed = {f"{part}/{name}": tensor.shape for part in parts for name, tensor in parts[part].state_dict().items()}
    learns = {name for name, _ in learner.named_parameters()}
    wrong = [name for name, shape in needed.items() if name not in state.tensors or state.tensors[name].shape != shape]
    wrong += [name for name in state.tensors if name.partition("/")[0] in parts and name not in needed]
    wrong += [name for name in state.tensors if name.startswith("optimizer/") and name.split("/")[1] not in learns]
    wrong += [] if "rng/torch" in state.tensors else ["rng/torch"]
    if wrong:
        raise _damaged(path, f"one of another network, or damaged ({wrong[0]} does not fit)")


def _value(name: str, metadata: Mapping[str, str]) -> Any:
    if name not in metadata:
        raise ValueError(f"it has no {name}")
    value = json.loads(metadata[name])
    kind = _KINDS[name]
    if not isinstance(value, kind):
        raise ValueError(f"{name} is {value!r}")
    return value


def _damaged(path: Path, found: str) -> WeightsError:
    text = f"{path}: expected the state of a training, found {found}"
    return WeightsError(f"{text}; put a copy back, or remove it to start anew")


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
            is_like = value.shape == parameter.shape  # laid out in memory as the parameter is; Adam also has a counter
            optimizer.state[parameter][slot] = torch.empty_like(parameter).copy_(value) if is_like else value.clone()
