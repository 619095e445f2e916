"""An OpenVINO file says what it is, computes in float32, and a wrong one is told in one line."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from yoloslim.errors import BackendMissing, OutputError, RecipeError, WeightsError
from yoloslim.graph.to_cfg import to_cfg
from yoloslim.recipes.export import export_openvino
from yoloslim.runtime.artefact import files_of, open_artefact
from yoloslim.runtime.load import Model

LAYER = "[convolutional]\nfilters=8\nsize=3\npad=1\nbatch_normalize=1\nactivation=leaky"


@pytest.fixture
def model(tiny, random_network) -> Model:
    return Model(random_network(tiny(LAYER, size=(24, 16))), ('hand "left" <&>\n',), "letterbox")


@pytest.fixture
def file(model: Model, tmp_path: Path, noise) -> Path:
    export_openvino(model, tmp_path / "net.xml", [noise(1, 3, 16, 24)])
    return tmp_path / "net.xml"


def test_a_file_describes_its_network(model: Model, file: Path) -> None:
    found = open_artefact(file)

    assert to_cfg(found.description.graph) == to_cfg(model.graph)
    assert (found.description.names, found.description.resize) == (model.names, "letterbox")
    assert (found.description.size, found.backend_name) == ((24, 16), "openvino")


@pytest.mark.parametrize("batch", [1, 3])
def test_a_file_takes_any_batch_and_computes_in_float32(batch: int, model: Model, file: Path, noise) -> None:
    pictures = noise(batch, 3, 16, 24)
    with torch.inference_mode():
        expected = [head.numpy() for head in model.network(torch.from_numpy(pictures))]

    found = open_artefact(file, threads=1).backend(pictures)

    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * np.abs(theirs).max())


def test_head_maps_stay_as_they_are_when_the_next_picture_is_run(file: Path, noise) -> None:
    backend = open_artefact(file).backend
    first = backend(noise(1, 3, 16, 24))[0]
    kept = first.copy()

    backend(1 - noise(1, 3, 16, 24))

    np.testing.assert_array_equal(first, kept)


def test_reading_a_file_loads_neither_torch_nor_onnx_nor_telemetry(file: Path) -> None:
    code = (
        "import sys, numpy as np\nfrom pathlib import Path\nfrom yoloslim.runtime.artefact import open_artefact\n"
        f"open_artefact(Path({str(file)!r})).backend(np.zeros((1, 3, 16, 24), np.float32))\n"
        "print({'torch', 'onnx', 'openvino_telemetry'} & sys.modules.keys())"
    )

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "set()"


def test_a_batch_of_another_size_is_refused(file: Path) -> None:
    with pytest.raises(RecipeError, match="height x width 3x16x24, found 3x32x32; export it again with --size"):
        open_artefact(file).backend(np.zeros((1, 3, 32, 32), np.float32))


@pytest.mark.parametrize("damage", ["cut .xml", "cut .bin", "no .bin"])
def test_a_damaged_file_is_refused_in_one_line(damage: str, file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    action, _, suffix = damage.partition(" ")
    damaged = file.with_suffix(suffix)
    if action == "no":
        damaged.unlink()
    else:
        damaged.write_bytes(damaged.read_bytes()[:-200])

    with pytest.raises(WeightsError, match=r"net\.xml: OpenVINO cannot read this file \(.+\); copy or export it again"):
        open_artefact(file)

    assert capfd.readouterr().err == ""


def test_an_onnx_file_that_is_none_is_refused_in_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.onnx").write_text("not an onnx file")

    with pytest.raises(WeightsError, match=r"net\.onnx: OpenVINO cannot read this file"):
        open_artefact(tmp_path / "net.onnx", backend="openvino")

    assert capfd.readouterr().err == ""


def test_a_file_of_another_program_is_refused(tmp_path: Path) -> None:
    import openvino
    from openvino import opset13

    images = opset13.parameter([-1, 3, 8, 8], name="images")
    openvino.save_model(openvino.Model([opset13.relu(images)], [images]), tmp_path / "other.xml")

    with pytest.raises(WeightsError, match=r"its metadata have no schema and cfg, .* only files that yoloslim wrote"):
        open_artefact(tmp_path / "other.xml")


def test_a_missing_package_names_its_extra(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)

    with pytest.raises(BackendMissing, match=r"net\.xml with OpenVINO needs the 'openvino' extra: pip install"):
        open_artefact(file)


def test_a_pair_that_cannot_be_written_leaves_the_earlier_one(
    model: Model, file: Path, noise, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [path.read_bytes() for path in files_of(file)]
    monkeypatch.setattr("openvino.save_model", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left")))

    with pytest.raises(OutputError, match="cannot write this file: No space left"):
        export_openvino(model, file, [noise(1, 3, 16, 24)])

    assert [path.read_bytes() for path in files_of(file)] == before
    assert sorted(path.name for path in file.parent.iterdir()) == ["net.bin", "net.xml"]
