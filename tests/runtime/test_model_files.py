"""Models on disk and back: .weights, .safetensors and the originals' .pt."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from yoloslim.errors import WeightsError
from yoloslim.graph.from_cfg import parse_cfg, read_cfg
from yoloslim.graph.graph import Graph
from yoloslim.nn.network import Network
from yoloslim.runtime.load import HEADER_KEY, Model, load
from yoloslim.runtime.save import checkpoint_of, save_all, save_as
from yoloslim.weights.checkpoint import save_checkpoint
from yoloslim.weights.darknet import Header
from yoloslim.weights.heads import head_convolutions

SMALLEST = "yolo-fastest-1.1"
TINY = """[net]
width=32
height=32
channels=3
[convolutional]
batch_normalize=1
filters=4
size=3
stride=2
pad=1
activation=leaky
[convolutional]
filters=14
size=1
activation=linear
[yolo]
mask=0,1
anchors=4,4, 8,8
classes=2
"""


def tiny_model(text: str = TINY, **fields: object) -> Model:
    torch.manual_seed(0)
    network = Network(parse_cfg(text)).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return replace(Model(network), **fields)


def head_maps(network: Network, seed: int = 0) -> list[torch.Tensor]:
    shape = network.graph.input_shape
    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        return network(torch.rand(1, *shape, generator=generator))


def output_of(network: Network, node: str) -> torch.Tensor:
    """What one node gives for a fixed picture."""
    outputs = {}

    def remember(name: str, output: torch.Tensor) -> torch.Tensor:
        outputs[name] = output
        return output

    with torch.inference_mode():
        network(torch.rand(1, *network.graph.input_shape, generator=torch.Generator().manual_seed(0)), tap=remember)
    return outputs[node]


def assert_same_head_maps(found: Network, expected: Network) -> None:
    for a, b in zip(head_maps(found), head_maps(expected), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def published_model(weights_dir: Path, name: str = SMALLEST, graph: Graph | None = None) -> Model:
    return load(weights_dir / f"{name}.weights", graph or read_cfg(weights_dir / f"{name}.cfg"))


# ---- checkpoints -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["yolov3-tiny", "yolo-fastest-1.1", "MobileNetV2-YOLOv3-Nano-coco", "yoloface-500k"])
def test_weights_come_out_of_a_checkpoint_byte_for_byte(name: str, weights_dir: Path, tmp_path: Path) -> None:
    save_as(published_model(weights_dir, name), tmp_path / "a.safetensors")

    save_as(load(tmp_path / "a.safetensors", None), tmp_path / "a.weights")

    assert (tmp_path / "a.weights").read_bytes() == (weights_dir / f"{name}.weights").read_bytes()


def test_a_checkpoint_brings_its_network_names_and_resize(weights_dir: Path, tmp_path: Path) -> None:
    names = tuple((weights_dir / "coco.names").read_text().splitlines()[:80])
    model = replace(published_model(weights_dir), names=names, resize="letterbox")

    written = save_as(model, tmp_path / "alone" / "a.safetensors")
    found = load(tmp_path / "alone" / "a.safetensors", None)

    assert written == (tmp_path / "alone" / "a.safetensors",)
    assert (found.names, found.resize, found.header) == (names, "letterbox", Header(0, 2, 5, 14231680))
    assert_same_head_maps(found.network, model.network)
    assert not found.network.training


@pytest.mark.parametrize("header", ["0.2.5", [0, 2, 5], [0, 2, 5, 1.5]], ids=str)
def test_a_checkpoint_with_another_kind_of_header_is_refused(header: object, tmp_path: Path) -> None:
    checkpoint = replace(checkpoint_of(tiny_model()), provenance={HEADER_KEY: header})
    save_checkpoint(tmp_path / "a.safetensors", checkpoint)

    with pytest.raises(WeightsError, match=r"a\.safetensors: its darknet_header cannot be used: "):
        load(tmp_path / "a.safetensors", None)


@pytest.mark.parametrize(("letter_box", "resize"), [("letter_box=1\n", "letterbox"), ("", "stretch")])
def test_the_cfg_says_how_pictures_are_fitted_where_nothing_else_does(
    letter_box: str, resize: str, tmp_path: Path
) -> None:
    model = tiny_model(TINY.replace("channels=3\n", f"channels=3\n{letter_box}"), resize="")
    cfg, weights, checkpoint = save_all(model, tmp_path, "a")

    assert load(weights, read_cfg(cfg)).resize == resize
    assert load(checkpoint, None).resize == resize


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("filters=4", "filters=6"), "of another shape"),
        (("batch_normalize=1\n", ""), "missing"),
        (("[yolo]", "[convolutional]\nfilters=14\nactivation=linear\n[yolo]"), "missing"),
    ],
    ids=["wider", "no batch-norm", "deeper"],
)
def test_a_cfg_that_does_not_fit_the_checkpoint_beside_it_is_refused(
    change: tuple[str, str], problem: str, tmp_path: Path
) -> None:
    save_as(tiny_model(), tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match=f"a.safetensors: the tensors do not fit the cfg: .*{problem}"):
        load(tmp_path / "a.safetensors", parse_cfg(TINY.replace(*change)))


def test_a_checkpoint_of_other_classes_gives_all_layers_but_the_heads(tmp_path: Path) -> None:
    whole = tiny_model()
    save_as(whole, tmp_path / "a.safetensors")
    other = parse_cfg(TINY.replace("classes=2", "classes=1").replace("filters=14", "filters=12"))

    model = load(tmp_path / "a.safetensors", other)

    heads = head_convolutions(other)
    assert set(model.missing) == set(heads)
    assert "the class count is 2 in the weights and 1 in the cfg" in model.notes[0]
    before, after = whole.network.state_dict(), model.network.state_dict()
    kept = [name for name in after if name.partition(".")[0] not in heads]
    assert kept
    assert all(torch.equal(before[name], after[name]) for name in kept)


def test_a_checkpoint_of_other_classes_and_another_network_is_refused(tmp_path: Path) -> None:
    save_as(tiny_model(), tmp_path / "a.safetensors")
    other = TINY.replace("classes=2", "classes=1").replace("filters=14", "filters=12").replace("filters=4", "filters=6")

    with pytest.raises(WeightsError, match="its network is another than the cfg's; leave --cfg out"):
        load(tmp_path / "a.safetensors", parse_cfg(other))


def test_a_cfg_beside_a_checkpoint_may_change_what_has_no_weights(tmp_path: Path) -> None:
    save_as(tiny_model(), tmp_path / "a.safetensors")

    found = load(tmp_path / "a.safetensors", parse_cfg(TINY.replace("4,4, 8,8", "5,5, 9,9").replace("=32", "=64")))

    assert found.graph.heads[0][1].anchors == ((5, 5), (9, 9))
    assert [tuple(head.shape) for head in head_maps(found.network)] == [(1, 2, 32, 32, 7)]


# ---- Darknet files ---------------------------------------------------------------------------------------------------


def test_a_model_is_written_as_cfg_weights_and_checkpoint_that_give_the_same_head_maps(tmp_path: Path) -> None:
    model = tiny_model(header=Header(0, 2, 5, 77))

    cfg, weights, checkpoint = save_all(model, tmp_path / "out", "small")

    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["small.cfg", "small.safetensors", "small.weights"]
    for found in (load(weights, read_cfg(cfg)), load(checkpoint, None)):
        assert_same_head_maps(found.network, model.network)
        assert found.header == Header(0, 2, 5, 77)


def test_weights_for_80_classes_load_into_a_cfg_for_5_but_for_the_heads(weights_dir: Path) -> None:
    text = (weights_dir / f"{SMALLEST}.cfg").read_text()
    whole = published_model(weights_dir)
    text, changed = re.subn(
        r"(?m)^classes\s*=\s*80", "classes=5", re.sub(r"(?m)^filters\s*=\s*255", "filters=30", text)
    )

    model = published_model(weights_dir, graph=parse_cfg(text))

    assert changed == 2
    assert model.notes == (
        "the class count is 80 in the weights and 5 in the cfg: all layers are loaded but 120_convolutional, "
        "129_convolutional, which start from their initial values",
    )
    assert [tuple(head.shape[1:]) for head in head_maps(model.network)] == [(3, 10, 10, 10), (3, 20, 20, 10)]
    for before_head in ("119_convolutional", "128_convolutional"):
        torch.testing.assert_close(output_of(model.network, before_head), output_of(whole.network, before_head))


def test_a_backbone_of_57_layers_loads_and_is_written_again(weights_dir: Path, tmp_path: Path) -> None:
    graph = read_cfg(weights_dir / "MobileNetV2-YOLOv3-Nano-coco.cfg")

    model = load(weights_dir / "MobileNetV2-Nano.57", graph)
    written = save_as(model, tmp_path / "again.57", cutoff=57)

    assert [note.partition(";")[0] for note in model.notes] == ["weights for layers 0 to 56 of 80 are loaded"]
    assert written == (tmp_path / "again.57",)
    assert written[0].read_bytes() == (weights_dir / "MobileNetV2-Nano.57").read_bytes()
    assert all(head.isfinite().all() for head in head_maps(model.network))


def test_a_cutoff_loads_only_the_leading_layers(weights_dir: Path) -> None:
    graph, path = read_cfg(weights_dir / f"{SMALLEST}.cfg"), weights_dir / f"{SMALLEST}.weights"
    whole = load(path, graph)

    backbone = load(path, graph, cutoff=100)

    assert [note.partition(" of ")[0] for note in backbone.notes] == ["weights for layers 0 to 99"]
    inside, outside = "099_convolutional", "119_convolutional"
    torch.testing.assert_close(output_of(backbone.network, inside), output_of(whole.network, inside), rtol=0, atol=0)
    assert not torch.allclose(output_of(backbone.network, outside), output_of(whole.network, outside))


def test_a_cfg_beside_written_weights_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.cfg").write_text("mine")

    written = save_as(tiny_model(), tmp_path / "a.weights")

    assert written == (tmp_path / "a.weights",)
    assert (tmp_path / "a.cfg").read_text() == "mine"


# ---- suffixes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".pt", ".onnx", ""])
def test_a_suffix_that_cannot_be_written_is_refused_before_anything_is(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=rf"can write \.weights and \.safetensors, found '{suffix}'"):
        save_as(tiny_model(), tmp_path / f"a{suffix}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".backup", ".57", ""])
def test_a_file_of_any_other_suffix_is_read_as_darknet_weights(suffix: str, tmp_path: Path) -> None:
    _, weights, _ = save_all(tiny_model(), tmp_path, "a")
    shutil.copy(weights, tmp_path / f"b{suffix}")

    assert_same_head_maps(load(tmp_path / f"b{suffix}", parse_cfg(TINY)).network, tiny_model().network)


def test_a_file_that_is_no_weights_is_refused_by_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello\n")

    with pytest.raises(WeightsError, match=r"a\.txt: expected Darknet weights, found text that begins with 'hello'"):
        load(tmp_path / "a.txt", parse_cfg(TINY))


@pytest.mark.parametrize("suffix", [".weights", ".pt", ".57"])
def test_weights_that_bring_no_network_need_a_cfg(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"a{suffix}").touch()

    with pytest.raises(WeightsError, match=r"only a \.safetensors brings its own network; add --cfg"):
        load(tmp_path / f"a{suffix}", None)


# ---- the originals' files --------------------------------------------------------------------------------------------


def their_state(network: Network) -> dict[str, torch.Tensor]:
    """The network's tensors under the originals' names."""
    modules = {"conv": "Conv2d", "norm": "BatchNorm2d"}
    state = {}
    for name, tensor in network.state_dict().items():
        node, module, key = name.split(".")
        state[f"module_list.{int(node[:3])}.{modules[module]}.{key}"] = tensor
    return state


def set_epsilon(network: Network, eps: float) -> Network:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = eps
    return network


@pytest.mark.parametrize("bn_eps", [1e-5, 1e-4])
def test_a_legacy_file_gives_the_head_maps_of_its_own_epsilon(bn_eps: float, weights_dir: Path, tmp_path: Path) -> None:
    graph = read_cfg(weights_dir / f"{SMALLEST}.cfg")
    darknet, theirs = (published_model(weights_dir).network for _ in range(2))
    expected = head_maps(set_epsilon(theirs, bn_eps))
    torch.save({"model": their_state(theirs), "best_fitness": np.float64(0.5)}, tmp_path / "best.pt")

    found = head_maps(load(tmp_path / "best.pt", graph, bn_eps=bn_eps).network)

    def worst(maps: list[torch.Tensor]) -> float:
        return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(maps, expected, strict=True))

    assert worst(found) < 1e-5
    assert worst(head_maps(darknet)) > 1e-4  # what the epsilon is worth


# ---- advice ----------------------------------------------------------------------------------------------------------


def cfg_text(weights_dir: Path, name: str) -> str:
    return (weights_dir / f"{name}.cfg").read_text()


def test_the_published_yolov3_tiny_comes_with_advice_on_its_masks(weights_dir: Path) -> None:
    cfg = weights_dir / "yolov3-tiny.cfg"
    line = 1 + max(n for n, text in enumerate(cfg.read_text().splitlines()) if text.startswith("mask = 0,1,2"))

    (note,) = published_model(weights_dir, "yolov3-tiny").notes

    assert note.startswith(f"{cfg}:{line}: mask=0,1,2 is a mistake of the published yolov3-tiny.cfg")
    assert "mask=1,2,3" in note


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "mask = 1,2,3".join(text.rsplit("mask = 0,1,2", 1)),
        lambda text: text.replace("81,82", "81,83"),
        lambda text: text.replace("classes=80", "classes=1").replace("filters=255", "filters=18"),
    ],
    ids=["masks as trained", "own anchors", "own classes"],
)
def test_a_yolov3_tiny_of_ones_own_comes_without_advice(change: Callable[[str], str], weights_dir: Path) -> None:
    text = change(cfg_text(weights_dir, "yolov3-tiny"))

    notes = published_model(weights_dir, "yolov3-tiny", parse_cfg(text)).notes

    assert text != cfg_text(weights_dir, "yolov3-tiny")
    assert not any("mask" in note for note in notes)


@pytest.mark.parametrize("name", ["yolo-fastest-1.1", "MobileNetV2-YOLOv3-Nano-coco", "yoloface-500k"])
def test_other_published_networks_come_without_notes(name: str, weights_dir: Path) -> None:
    assert published_model(weights_dir, name).notes == ()
