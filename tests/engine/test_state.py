"""State files that are damaged, or of something else: one line each, before anything of them is used."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from yoloslim.engine.state import STATE, TrainState, check_identity, check_state, load_state_file, save_state
from yoloslim.errors import RecipeError, WeightsError
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.nn.network import Network

CFG = (
    "[net]\nwidth=16\nheight=16\n[convolutional]\nbatch_normalize=1\nfilters=4\nsize=3\nstride=2\npad=1\n"
    "activation=leaky\n[convolutional]\nfilters=8\nsize=1\nactivation=linear\n"
    "[yolo]\nmask=0\nanchors=10,10\nclasses=3\n"
)
CONV = "000_convolutional.conv.weight"


def network() -> Network:
    return Network(parse_cfg(CFG))


def state() -> TrainState:
    tensors = {f"{part}/{name}": tensor for part in ("model", "ema") for name, tensor in network().state_dict().items()}
    tensors |= {"rng/torch": torch.get_rng_state().reshape(1, -1), f"optimizer/{CONV}/momentum_buffer": torch.zeros(2)}
    return TrainState(tensors, 1, 0, 3, 3, {"loss": 1.0}, ({"epoch": 1},), {}, "this one")


def test_a_state_that_is_whole_is_taken(tmp_path: Path) -> None:
    save_state(tmp_path / STATE, state())

    found = load_state_file(tmp_path / STATE)

    check_state(found, network(), nn.ModuleDict(), network(), tmp_path / STATE)
    check_identity(found, "this one", tmp_path)
    assert (found.epoch, found.rows) == (1, ({"epoch": 1},))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"epoch": None}, r"found none that can be read \(it has no epoch\); put a copy back"),
        ({"epoch": '"x"'}, r"\(epoch is 'x'\)"),
        ({"rows": "3"}, r"\(rows is 3\)"),
        ({"sums": "{"}, r"found none that can be read \(Expecting"),
    ],
)
def test_values_that_are_missing_or_of_another_kind_are_told(
    tmp_path: Path, changed: Mapping[str, str | None], message: str
) -> None:
    path = tmp_path / STATE
    save_state(path, state())
    kept = {name: json.dumps(getattr(state(), name)) for name in ("epoch", "batch", "step", "ema_steps", "sums")}
    kept |= {"rows": "[]", "scaler": "{}", "identity": '""'} | changed
    save_file(load_file(path), path, {name: value for name, value in kept.items() if value is not None})

    with pytest.raises(WeightsError, match=message) as found:
        load_state_file(path)

    assert "\n" not in str(found.value)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x10\0\0\0\0\0\0\0{"], ids=["empty", "text", "cut off"])
def test_a_file_of_something_else_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / STATE).write_bytes(content)

    with pytest.raises(WeightsError, match=r"state\.safetensors: expected the state of a training, found none that"):
        load_state_file(tmp_path / STATE)


def test_tensors_of_another_network_are_told_by_name() -> None:
    whole = state()
    changes: dict[str, dict[str, Tensor | None]] = {
        "rng/torch": {"rng/torch": None},
        f"ema/{CONV}": {f"ema/{CONV}": None},
        f"model/{CONV}": {f"model/{CONV}": torch.zeros(1)},
        "model/more": {"model/more": torch.zeros(1)},
        "optimizer/more/momentum_buffer": {"optimizer/more/momentum_buffer": torch.zeros(1)},
    }
    for name, change in changes.items():
        tensors = {key: value for key, value in {**whole.tensors, **change}.items() if value is not None}
        with pytest.raises(
            WeightsError, match=rf"^x: .* another network, or damaged \({name} does not fit\); put a copy"
        ):
            check_state(replace(whole, tensors=tensors), network(), nn.ModuleDict(), network(), Path("x"))


def test_the_state_of_another_training_is_refused() -> None:
    with pytest.raises(RecipeError, match="runs/a: holds the state of another training"):
        check_identity(state(), "another", Path("runs/a"))
