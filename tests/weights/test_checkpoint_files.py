"""Checkpoints: one file that describes itself, keeps every number, and is refused when it does not fit."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from yoloslim.errors import CfgError, OutputError, WeightsError
from yoloslim.graph.from_cfg import parse_cfg, read_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.to_cfg import to_cfg
from yoloslim.weights.checkpoint import SCHEMA, Checkpoint, is_quantized_checkpoint, load_checkpoint, save_checkpoint
from yoloslim.weights.darknet import read_weights
from yoloslim.weights.layout import tensor_shapes

CFG = """[net]
width=32
height=32
channels=3

[convolutional]
batch_normalize=1
filters=4
size=3
pad=1
activation=mish

[convolutional]
filters=14
activation=linear

[yolo]
mask=0,1
anchors=1,1, 2,2
classes=2
"""
BIAS = "001_convolutional.conv.bias"
TABLES = st.dictionaries(st.text(max_size=9), st.recursive(st.integers() | st.text() | st.none(), st.lists), max_size=3)


def graph() -> Graph:
    return parse_cfg(CFG)


def tensors(dtype: torch.dtype = torch.float32, seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return {name: torch.randn(shape).to(dtype) for name, shape in tensor_shapes(graph()).items()}


def assert_equal(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].dtype == values.dtype
        assert torch.equal(found[name], values), name


@given(
    dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16, torch.float64]),
    names=st.tuples(st.text(), st.text()) | st.just(()),
    resize=st.sampled_from(["", "letterbox", "stretch"]),
    size=st.tuples(st.integers(1, 9999), st.integers(1, 9999)) | st.none(),
    origin=TABLES,
    provenance=TABLES,
    has_ema=st.booleans(),
)
def test_a_checkpoint_comes_back_as_it_was_saved(
    tmp_path_factory, dtype: torch.dtype, origin: dict, provenance: dict, has_ema: bool, **plain: object
) -> None:
    path = tmp_path_factory.mktemp("checkpoint") / "best.safetensors"
    ema = tensors(seed=1) if has_ema else {}
    saved = Checkpoint(graph(), tensors(dtype), ema, origin=origin, provenance=provenance, **plain)

    save_checkpoint(path, saved)
    loaded = load_checkpoint(path)

    assert_equal(loaded.tensors, saved.tensors)
    assert_equal(loaded.ema, ema)
    assert to_cfg(loaded.graph) == CFG
    assert replace(loaded, graph=saved.graph, tensors={}, ema={}) == replace(saved, tensors={}, ema={})
    assert list(path.parent.iterdir()) == [path]


def test_metadata_of_others_are_kept(tmp_path: Path) -> None:
    saved = Checkpoint(graph(), tensors(), extra={"format": "pt", "licence": "not JSON"})

    save_checkpoint(tmp_path / "a.safetensors", saved)

    assert load_checkpoint(tmp_path / "a.safetensors").extra == saved.extra


def test_weights_of_a_file_can_be_saved_as_they_were_read(weights_dir: Path, tmp_path: Path) -> None:
    coco = read_cfg(weights_dir / "yolov3-tiny.cfg")
    weights = read_weights(weights_dir / "yolov3-tiny.weights", coco)
    state = {name: torch.from_numpy(values) for name, values in weights.tensors.items()}

    save_checkpoint(tmp_path / "a.safetensors", Checkpoint(coco, state, state))

    loaded = load_checkpoint(tmp_path / "a.safetensors")
    assert_equal(loaded.tensors, state)
    assert_equal(loaded.ema, state)
    assert loaded.graph.classes == 80


def test_parameters_and_strided_tensors_are_saved_by_value(tmp_path: Path) -> None:
    state = tensors()
    state[BIAS] = torch.nn.Parameter(torch.arange(28.0)[::2])

    save_checkpoint(tmp_path / "a.safetensors", Checkpoint(graph(), state))

    loaded = load_checkpoint(tmp_path / "a.safetensors").tensors[BIAS]
    assert loaded.tolist() == list(range(0, 28, 2))
    assert not loaded.requires_grad


def test_a_quantized_checkpoint_may_hold_other_tensors_but_none_of_another_shape(tmp_path: Path) -> None:
    state = tensors() | {"000_convolutional.weight_quantizer.scale": torch.ones(4)}
    del state["000_convolutional.norm.bias"]
    saved = Checkpoint(graph(), state, quantization={"scheme": "google"})

    save_checkpoint(tmp_path / "a.safetensors", saved)

    assert_equal(load_checkpoint(tmp_path / "a.safetensors").tensors, state)
    with pytest.raises(WeightsError, match="1 of another shape"):
        save_checkpoint(tmp_path / "a.safetensors", replace(saved, tensors=state | {BIAS: torch.zeros(3)}))


def test_a_checkpoint_tells_whether_it_is_quantized(tmp_path: Path) -> None:
    for name, how in (("float", {}), ("integers", {"scheme": "google"})):
        save_checkpoint(tmp_path / f"{name}.safetensors", Checkpoint(graph(), tensors(), quantization=how))

    assert is_quantized_checkpoint(tmp_path / "integers.safetensors")
    assert not is_quantized_checkpoint(tmp_path / "float.safetensors")
    assert not is_quantized_checkpoint(tmp_path / "no.weights")


def test_tensors_of_other_kinds_in_the_file_are_left_there(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    found = {f"model/{name}": values for name, values in tensors().items()} | {"rng/torch": torch.zeros(9)}
    save_file(found, path, {"schema": str(SCHEMA), "cfg": CFG, "step": "7"})

    loaded = load_checkpoint(path)

    assert_equal(loaded.tensors, tensors())
    assert (loaded.ema, loaded.extra) == ({}, {"step": "7"})


# ---- what does not fit -----------------------------------------------------------------------------------------------


def test_tensors_that_do_not_fit_are_not_saved_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    path.write_text("old")
    wrong = {name: values for name, values in tensors().items() if name != BIAS} | {"x": torch.zeros(1)}

    with pytest.raises(WeightsError, match=rf"best.safetensors: .* 1 missing \({BIAS}\), 1 unexpected \(x\); are"):
        save_checkpoint(path, Checkpoint(graph(), wrong))
    with pytest.raises(WeightsError, match=r"best.safetensors: ema/: .* 1 missing"):
        save_checkpoint(path, Checkpoint(graph(), tensors(), wrong))
    with pytest.raises(WeightsError, match="7 missing"):
        save_checkpoint(path, Checkpoint(graph(), {}))
    assert path.read_text() == "old"


def test_tensors_that_do_not_fit_their_cfg_are_refused_on_loading(tmp_path: Path) -> None:
    found = {f"model/{name}": values for name, values in tensors().items()} | {f"model/{BIAS}": torch.zeros(18)}
    save_file(found, tmp_path / "a.safetensors", {"schema": "1", "cfg": CFG})

    with pytest.raises(WeightsError, match=rf"1 of another shape \({BIAS}: expected 14, found 18\)"):
        load_checkpoint(tmp_path / "a.safetensors")


def test_names_must_be_as_many_as_classes(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="3 class names for a cfg of 2 classes; they must be as many"):
        save_checkpoint(tmp_path / "a.safetensors", Checkpoint(graph(), tensors(), names=("a", "b", "c")))


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "a safetensors file, but no checkpoint: its metadata have no schema and cfg"),
        ({"schema": "2", "cfg": "anything"}, "written by a later yoloslim: schema 2, this one reads up to 1; upgrade"),
        ({"schema": "new", "cfg": CFG}, "its schema is not JSON: new"),
        ({"schema": '"new"', "cfg": CFG}, "written by a later yoloslim: schema new"),
        ({"schema": "1", "cfg": CFG, "names": "['a'"}, r"its names is not JSON: \['a'"),
        ({"schema": "1", "cfg": CFG, "names": "[1, 2]"}, r"its names cannot be used: \[1, 2\]"),
        ({"schema": "1", "cfg": CFG, "resize": '"crop"'}, 'its resize cannot be used: "crop"'),
        ({"schema": "1", "cfg": CFG, "size": "[416]"}, r"its size cannot be used: \[416\]"),
        ({"schema": "1", "cfg": CFG, "size": "[0, 9]"}, r"its size cannot be used: \[0, 9\]"),
        ({"schema": "1", "cfg": CFG, "origin": "[]"}, r"its origin cannot be used: \[\]"),
    ],
)
def test_metadata_that_cannot_be_used_are_named(metadata: dict[str, str], message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({f"model/{name}": values for name, values in tensors().items()}, path, metadata)

    with pytest.raises(WeightsError, match=f"^{path}: {message}"):
        load_checkpoint(path)


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match='its resize cannot be used: "crop"'):
        save_checkpoint(tmp_path / "a.safetensors", Checkpoint(graph(), tensors(), resize="crop"))
    assert list(tmp_path.iterdir()) == []


def test_a_cfg_that_cannot_be_honoured_points_into_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"model/x": torch.zeros(1)}, path, {"schema": "1", "cfg": CFG.replace("mish", "mash")})

    with pytest.raises(CfgError, match=f"^{path}:11: .*activation=mash is not known"):
        load_checkpoint(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_checkpoint_that_is_cut_off_is_refused(share: float, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, Checkpoint(graph(), tensors()))
    size = path.stat().st_size
    os.truncate(path, int(share * size))

    with pytest.raises(WeightsError, match=rf"cut off: expected [\d,]+ bytes, found {int(share * size):,}; download"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a safetensors checkpoint, found something else"),
        (b"PK\x03\x04" + bytes(99), "expected a safetensors checkpoint, found something else"),
        (bytes([5, *bytes(7)]) + b'{"a":', "the header of this safetensors file is damaged; copy it again"),
        (bytes([8, *bytes(7)]) + b'{"a": 1}', "the header of this safetensors file is damaged; copy it again"),
        (
            bytes([47, *bytes(7)]) + b'{"a":{"dtype":"X","shape":[],"data_offsets":[0,4]}}'[:47].ljust(47) + bytes(4),
            "header of this safetensors file is damaged",
        ),
    ],
)
def test_a_file_of_another_kind_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)

    with pytest.raises(WeightsError, match=f"a.safetensors: .*{message}"):
        load_checkpoint(tmp_path / "a.safetensors")


def test_a_damaged_table_of_tensors_is_refused(tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))

    with pytest.raises(WeightsError, match=r"this safetensors file is damaged \(.+\); copy it again"):
        load_checkpoint(tmp_path / "a.safetensors")


def test_a_file_that_is_not_there_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="none: cannot read this file: No such file or directory"):
        load_checkpoint(tmp_path / "none")
    with pytest.raises(WeightsError, match="expected a checkpoint, found a folder"):
        load_checkpoint(tmp_path)


def test_a_checkpoint_that_cannot_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.safetensors"
    path.write_text("old")
    with pytest.raises(OutputError, match=r"cannot write this file: (File exists|Not a directory)"):
        save_checkpoint(path / "a.safetensors", Checkpoint(graph(), tensors()))
    monkeypatch.setattr("yoloslim.weights.checkpoint._own", lambda tensor: tensor.expand(2, *tensor.shape)[0])

    state = tensors()
    with pytest.raises(RuntimeError, match="share memory"):
        save_checkpoint(path, Checkpoint(graph(), state, state))

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_is_plain_safetensors(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.safetensors", Checkpoint(graph(), tensors(), tensors(seed=1)))

    found = load_file(tmp_path / "a.safetensors")

    assert {name.partition("/")[0] for name in found} == {"model", "ema"}
    assert torch.equal(found[f"ema/{BIAS}"], tensors(seed=1)[BIAS])
