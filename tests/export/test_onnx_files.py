"""An ONNX file says what it is, and a wrong one is told in one line."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from yoloslim.errors import BackendMissing, OutputError, RecipeError, TargetError, WeightsError
from yoloslim.export import onnx as onnx_module
from yoloslim.export.onnx import export_onnx, onnx_model
from yoloslim.graph.to_cfg import to_cfg
from yoloslim.recipes import export as recipe
from yoloslim.recipes.export import Parity, ParityFailed, parity
from yoloslim.runtime.artefact import open_artefact
from yoloslim.runtime.load import Model
from yoloslim.runtime.onnx_backend import OnnxBackend
from yoloslim.weights.description import SCHEMA, Description, from_metadata, to_metadata

LAYER = "[convolutional]\nfilters=8\nsize=3\npad=1\nbatch_normalize=1\nactivation=leaky"


@pytest.fixture
def model(tiny, random_network) -> Model:
    return Model(random_network(tiny(LAYER, size=(24, 16))), ("hand",), "letterbox")


@pytest.fixture
def file(model: Model, tmp_path: Path, noise) -> Path:
    recipe.export(model, tmp_path / "net.onnx", [noise(1, 3, 16, 24)])
    return tmp_path / "net.onnx"


def tensors_of(model: Model) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in model.network.state_dict().items()}


def test_a_file_describes_its_network(model: Model, file: Path) -> None:
    found = open_artefact(file).description

    assert to_cfg(found.graph) == to_cfg(model.graph)
    assert (found.names, found.resize, found.size) == (("hand",), "letterbox", (24, 16))


def test_inputs_outputs_and_nodes_are_named_after_the_network(file: Path) -> None:
    written = onnx.load(file)

    assert [i.name for i in written.graph.input] == ["images"]
    assert [o.name for o in written.graph.output] == ["002_yolo"]
    assert [n.name for n in written.graph.node] == [
        "000_convolutional/Conv", "000_convolutional/LeakyRelu", "001_convolutional/Conv", "002_yolo/Reshape",
        "002_yolo/Transpose",
    ]  # fmt: skip
    assert [d.dim_param or d.dim_value for d in written.graph.output[0].type.tensor_type.shape.dim] == [
        "batch", 2, 16, 24, 6,
    ]  # fmt: skip


def test_a_file_is_of_standard_operators_in_float32(file: Path) -> None:
    written = onnx.load(file)

    assert [(i.domain, i.version) for i in written.opset_import] == [("", 17)]
    assert (written.ir_version, written.producer_name) == (8, "yoloslim")
    kinds = {t.data_type for t in written.graph.initializer if t.name.endswith((".weight", ".bias"))}
    assert kinds == {TensorProto.FLOAT}


def test_a_detector_of_a_file_is_as_the_file_says(file: Path) -> None:
    from yoloslim.boxes.detect import DetectSettings

    detector = open_artefact(file).detector(DetectSettings(0.01))
    found = detector([np.full((40, 30, 3), 90, np.uint8)])[0]

    assert (detector.size, detector.resize, len(found) > 0) == ((24, 16), "letterbox", True)


def test_reading_a_file_loads_neither_torch_nor_onnx(file: Path) -> None:
    code = (
        "import sys, numpy as np\nfrom pathlib import Path\nfrom yoloslim.runtime.artefact import open_artefact\n"
        f"open_artefact(Path({str(file)!r})).backend(np.zeros((1, 3, 16, 24), np.float32))\n"
        "print({'torch', 'onnx'} & sys.modules.keys())"
    )

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "set()"


def test_a_batch_of_another_size_is_refused(file: Path) -> None:
    with pytest.raises(
        RecipeError, match="channels x height x width 3x16x24, found 3x32x32; export it again with --size"
    ):
        open_artefact(file).backend(np.zeros((1, 3, 32, 32), np.float32))


@pytest.mark.parametrize("content", [b"", b"not an onnx file", None])
def test_a_damaged_file_is_refused(file: Path, content: bytes | None) -> None:
    file.write_bytes(file.read_bytes()[:-500] if content is None else content)

    with pytest.raises(WeightsError, match=r"net\.onnx: .*(cannot read|expected one input).* export it again"):
        open_artefact(file)


@pytest.mark.parametrize(("name", "found"), [("missing.onnx", "nothing"), (".", "a folder")])
def test_a_file_that_is_not_there_is_told(tmp_path: Path, name: str, found: str) -> None:
    with pytest.raises(WeightsError, match=f"expected an ONNX file, found {found}"):
        OnnxBackend(tmp_path / name)


def test_a_file_of_another_program_is_refused(tmp_path: Path) -> None:
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "other", infos[:1], infos[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "y.onnx")

    with pytest.raises(WeightsError, match=r"no schema and cfg.*only files that yoloslim wrote"):
        open_artefact(tmp_path / "y.onnx")


def test_a_file_whose_heads_are_not_those_of_its_cfg_is_refused(model: Model, file: Path) -> None:
    written = onnx.load(file)
    helper.set_model_props(written, to_metadata(Description(model.graph.with_size(32, 32))))
    onnx.save(written, file)

    with pytest.raises(WeightsError, match=r"gives the heads 002_yolo 2x32x32x6, the file has 002_yolo 2x16x24x6"):
        open_artefact(file)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"schema": str(SCHEMA + 1)}, "written by a later yoloslim: schema 2, this one reads up to 1"),
        ({"names": '["a", "b"]'}, "its names or resize cannot be used"),
        ({"resize": '"crop"'}, "its names or resize cannot be used"),
        ({"resize": "crop"}, "its resize is missing or not JSON"),
    ],
)
def test_metadata_that_cannot_be_used_are_refused(model: Model, changed: dict[str, str], message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        from_metadata(to_metadata(Description(model.graph)) | changed, "net.onnx")


def test_a_network_without_heads_is_refused(tiny, random_network) -> None:
    graph = tiny(LAYER)
    headless = Model(random_network(type(graph)(graph.nodes[:1], graph.input_shape, graph.section)))

    with pytest.raises(TargetError, match=r"no \[yolo\] layer"):
        onnx_model(Description(headless.graph), tensors_of(headless))


def test_tensors_of_another_network_are_refused(model: Model, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="7 missing"):
        export_onnx(tmp_path / "net.onnx", Description(model.graph), {})


def test_a_network_beyond_two_gigabytes_is_refused(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_module, "_MAX_BYTES", 100)

    with pytest.raises(TargetError, match="holds less than 2 GiB, the weights are 1,"):
        onnx_model(Description(model.graph), tensors_of(model))


def test_a_file_that_cannot_be_written_is_told(model: Model, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")

    with pytest.raises(OutputError, match="cannot write this file"):
        export_onnx(tmp_path / "taken" / "net.onnx", Description(model.graph), tensors_of(model))


def test_a_missing_onnx_package_is_told(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)

    with pytest.raises(BackendMissing, match=r"export to ONNX needs the 'onnx' extra: pip install 'yoloslim\[onnx\]'"):
        export_onnx(tmp_path / "net.onnx", Description(model.graph), tensors_of(model))


def test_a_missing_onnxruntime_is_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    with pytest.raises(BackendMissing, match=r"running an \.onnx file needs the 'onnx' extra"):
        OnnxBackend(file)


@pytest.mark.parametrize("value", [1e-3, float("nan")])
def test_a_file_that_differs_from_torch_is_not_kept(
    value: float, model: Model, file: Path, noise, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file.read_bytes()
    wrong = {name: tensor + value for name, tensor in tensors_of(model).items()}
    write = recipe.export_onnx
    monkeypatch.setattr(recipe, "export_onnx", lambda path, description, *_: write(path, description, wrong))

    with pytest.raises(ParityFailed, match=r"net\.onnx: not written: its head maps differ from torch's by"):
        recipe.export(model, file, [noise(1, 3, 16, 24)])

    assert [path.name for path in file.parent.iterdir()] == ["net.onnx"]
    assert file.read_bytes() == before


def test_parity_is_the_worst_head_relative_to_its_largest_value() -> None:
    small, large = np.array([1.0, -2.0], np.float32), np.array([100.0, 0.0], np.float32)

    found = parity(lambda _: [small + np.float32(0.5), large - 1], lambda _: [small, large], [small])

    assert found == Parity(max_abs_diff=1.0, max_rel_diff=0.25)


def test_weights_that_are_not_finite_are_not_written(model: Model, tmp_path: Path, noise) -> None:
    model.network.get_submodule("001_convolutional").conv.bias.data.fill_(torch.nan)

    with pytest.raises(ParityFailed, match="are the weights finite"):
        recipe.export(model, tmp_path / "net.onnx", [noise(1, 3, 16, 24)])
