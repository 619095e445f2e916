"""The folder for an FPGA: read by C, read back, and refused where it is damaged."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from yoloslim.boxes.placement import place as placed
from yoloslim.boxes.placement import to_batch
from yoloslim.compress.quantization.calibrate import calibrated
from yoloslim.compress.quantization.legality import findings
from yoloslim.compress.quantization.network import QuantizedNetwork
from yoloslim.compress.quantization.place import Placement, place
from yoloslim.compress.quantization.shifts import ShiftedNetwork
from yoloslim.compress.quantization.spec import QuantSpec
from yoloslim.compress.quantization.tiles import PLAIN, Tile, tiled, untiled
from yoloslim.data.pictures import read_picture
from yoloslim.errors import OutputError, TargetError, WeightsError
from yoloslim.export.fpga import INDEX
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.lint import fixed
from yoloslim.nn.network import Network
from yoloslim.recipes.export import ParityFailed, random_batch
from yoloslim.recipes.export_fpga import export_fpga, whole_numbers
from yoloslim.runtime.artefact import open_artefact
from yoloslim.runtime.integers import IntegerBackend
from yoloslim.runtime.load import Model, load

REFERENCE = Path(__file__).resolve().parents[2] / "examples" / "fpga" / "reference.c"
CONVOLUTION = "[convolutional]\nfilters=8\nsize=3\npad=1\nbatch_normalize=1\nactivation={}"
LEAKY, RELU = (CONVOLUTION.format(name) for name in ("leaky", "relu"))
ALL = (
    LEAKY,
    "[maxpool]\nsize=2\nstride=2",
    "[depthwise]\nfilters=8\nsize=3\nstride=1\npad=1\nbatch_normalize=1\nactivation=relu6",
    LEAKY.replace("filters=8", "filters=6") + "\ngroups=2",
    "[shortcut]\nfrom=-2\nactivation=relu",
    "[dropout]\nprobability=.2",
    "[route]\nlayers=-1\ngroups=2\ngroup_id=1",
    RELU + "\nstride=2",
    "[upsample]\nstride=2",
    "[route]\nlayers=-1,-8",
    "[maxpool]\nsize=3\nstride=1",
    CONVOLUTION.format("linear"),
    "[shortcut]\nfrom=0\nactivation=linear",
)
"""Every kind of layer, with grouped and strided convolutions, and shortcuts of other channels and sides."""

Make = Callable[..., Model]
FPGA = Placement("fpga")
HALF_EVEN = QuantSpec(symmetric=True, scale="power_of_two")


@pytest.fixture(scope="session")
def made(tiny: Callable[..., Graph], quantize: Callable[..., QuantizedNetwork]) -> Make:
    """Gives a tiny quantized model of some sections."""
    return lambda *sections, asked=FPGA: Model(quantize(tiny(*(sections or ALL)), asked), ("hand",))


def written(model: Model, folder: Path, tile: Tile = PLAIN) -> Path:
    export_fpga(model, folder, [random_batch(model.graph.input_shape, 0)], tile)
    return folder


def built(folder: Path, *flags: str) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        if os.environ.get("CI"):
            pytest.fail("CI is set: expected a C compiler named cc")
        pytest.skip("no C compiler")
    program = folder.parent / "reference"
    strict = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror", *flags]
    subprocess.run([compiler, *strict, f"-I{folder}", str(REFERENCE), "-o", str(program)], check=True)
    return program


def ran(program: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(program), str(folder)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("tile", [PLAIN, Tile(3, 2), Tile(16, 16)], ids=str)
def test_c_computes_the_golden_output_of_every_layer(made: Make, tmp_path: Path, tile: Tile) -> None:
    folder = written(made(), tmp_path / "net", tile)

    found = ran(built(folder), folder)

    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == "each layer on golden input: 0 of 16 differ\nfrom the picture on: 0 of 16 differ\n"


@pytest.mark.parametrize("asked", [FPGA, Placement("fpga", activations=HALF_EVEN)], ids=["half_away", "half_even"])
def test_c_has_no_undefined_behaviour(made: Make, tmp_path: Path, asked: Placement) -> None:
    folder = written(made(asked=asked), tmp_path / "net")

    found = ran(built(folder, "-fsanitize=undefined", "-fno-sanitize-recover=all"), folder)

    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize("name", ["weight", "bias", "table", "shift"])
def test_c_finds_a_layer_that_was_changed(made: Make, tmp_path: Path, name: str) -> None:
    folder = written(made(), tmp_path / "net")
    file = folder / "layers" / f"000_convolutional.{name}.bin"
    file.write_bytes(bytes(byte ^ 1 for byte in file.read_bytes()))

    found = ran(built(folder), folder)

    assert found.returncode == 1
    assert "000_convolutional: " in found.stdout
    assert "each layer on golden input: 1 of 16 differ" in found.stdout


def test_c_names_a_file_of_the_wrong_size(made: Make, tmp_path: Path) -> None:
    folder = written(made(LEAKY), tmp_path / "net")
    (folder / "layers" / "000_convolutional.bias.bin").write_bytes(b"123")

    found = ran(built(folder), folder)

    assert found.returncode == 2
    assert "000_convolutional.bias.bin: expected a file of 32 bytes" in found.stderr


@pytest.mark.medium
def test_c_computes_published_networks_from_a_picture_on(data_dir: Path, tmp_path: Path) -> None:
    stem = data_dir / "weights" / "MobileNetV2-YOLOv3-Nano-coco"
    text = stem.with_suffix(".cfg").read_text()
    network = load(
        stem.with_suffix(".weights"), parse_cfg(fixed(text, list(findings(parse_cfg(text), "fpga"))))
    ).network
    canvas, _ = placed(read_picture(data_dir / "images" / "dog.jpg"), (320, 320), "stretch")
    batch = to_batch([canvas])
    quantized = calibrated(network, place(network.graph, FPGA), [torch.from_numpy(batch)], "min-max")
    export_fpga(Model(quantized), tmp_path / "net", [batch], Tile(16, 8))

    found = ran(built(tmp_path / "net", "-fsanitize=undefined", "-fno-sanitize-recover=all"), tmp_path / "net")

    assert (found.returncode, found.stderr) == (0, "")
    assert "from the picture on: 0 of 81 differ" in found.stdout
    pixels = np.fromfile(tmp_path / "net" / "layers" / "image.pixels.bin", np.uint8).reshape(3, 320, 320)
    np.testing.assert_array_equal(pixels, canvas[:, :, ::-1].transpose(2, 0, 1))


@pytest.mark.parametrize("tile", [PLAIN, Tile(4, 2), Tile(64, 64)], ids=str)
def test_a_folder_runs_as_the_network_that_it_was_written_from(made: Make, tmp_path: Path, tile: Tile) -> None:
    model = made()
    artefact = open_artefact(written(model, tmp_path / "net", tile) / INDEX)
    batch = random_batch(model.graph.input_shape, 3)

    found, expected = artefact.backend(batch), IntegerBackend(whole_numbers(model))(batch)

    assert (artefact.backend_name, artefact.description.names) == ("integer", ("hand",))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_files_are_bytes_and_words_in_the_order_that_the_index_says(made: Make, tmp_path: Path) -> None:
    model = made(LEAKY)
    folder = written(model, tmp_path / "net", Tile(4, 2))
    whole, rows = whole_numbers(model), json.loads((folder / INDEX).read_text())["layers"]

    named = {about["file"] for row in rows for about in row["files"].values()}
    on_disk = {path.relative_to(folder).as_posix() for path in folder.rglob("*.bin")}
    weight = np.fromfile(folder / "layers/000_convolutional.weight.bin", np.int8).reshape(2, 2, 3, 3, 4, 2)
    bias = np.fromfile(folder / "layers/000_convolutional.bias.bin", "<i4")

    assert on_disk == named
    assert [row["name"] for row in rows] == ["image", "000_convolutional", "001_convolutional", "002_yolo"]
    kernel = whole.kernels["000_convolutional"]
    assert weight[1, 0, 2, 1, 3, 1] == kernel.weight[7, 1, 2, 1]
    assert not weight[:, 1, :, :, :, 1].any()  # the picture has three channels, tiles have two
    np.testing.assert_array_equal(bias, kernel.bias)


def test_tiles_of_one_leave_the_order_and_all_come_back() -> None:
    weight = np.random.default_rng(0).integers(-128, 128, (5, 3, 3, 3), dtype=np.int8)

    assert tiled(weight, PLAIN).tobytes() == weight.tobytes()
    for tile in (Tile(2, 2), Tile(5, 3), Tile(4, 1)):
        np.testing.assert_array_equal(untiled(tiled(weight, tile), weight.shape), weight)


def test_the_codes_of_pixels_are_a_table(made: Make, tmp_path: Path) -> None:
    folder = written(made(LEAKY), tmp_path / "net")

    table = np.fromfile(folder / "layers/image.table.bin", np.uint8)

    expected = [min(255, round(pixel * 256 / 255)) for pixel in range(256)]
    assert table.tolist() == expected


def test_a_folder_with_files_in_it_is_left_as_it_is(made: Make, tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "mine.txt").write_text("mine")

    with pytest.raises(OutputError, match="expected a new or an empty folder"):
        written(made(LEAKY), tmp_path / "net")
    assert [path.name for path in (tmp_path / "net").iterdir()] == ["mine.txt"]


def test_a_folder_that_is_damaged_is_told(made: Make, tmp_path: Path) -> None:
    folder = written(made(LEAKY), tmp_path / "net")
    index, shift = folder / INDEX, folder / "layers/000_convolutional.shift.bin"
    whole, shifts = index.read_text(), shift.read_bytes()

    def told(text: str) -> str:
        index.write_text(text)
        with pytest.raises(WeightsError) as caught:
            open_artefact(index)
        return str(caught.value)

    assert "expected the JSON index of a folder for an FPGA" in told("{")
    assert "expected an index with schema, metadata and layers" in told("[]")
    assert "written by a later yoloslim: schema 2" in told(whole.replace('"schema": 1', '"schema": 2', 1))
    assert "its layers cannot be used" in told(whole.replace('"exponent"', '"power"', 1))
    assert "no 001_convolutional" in told(whole.replace('"name": "001_convolutional"', '"name": "x"', 1))
    assert "000_convolutional has shapes" in told(whole.replace("filters=8", "filters=9", 1))
    assert "its layers cannot be used" in told(whole.replace('"type": "int8"', '"type": "float64"', 1))
    shift.write_bytes(shifts[:-1])
    assert "shift.bin: expected 8 bytes, found 7" in told(whole)
    shift.unlink()
    assert "shift.bin: cannot read this file: No such file" in told(whole)


def test_a_network_that_is_not_for_an_fpga_is_refused(
    made: Make, tiny: Callable[..., Graph], random_network: Callable[..., Network], tmp_path: Path
) -> None:
    with pytest.raises(TargetError, match=r"made for fpga, this one is in float: yoloslim quantize --for fpga"):
        written(Model(random_network(tiny(LEAKY))), tmp_path / "net")
    with pytest.raises(TargetError, match="this network was quantized for openvino"):
        written(made(LEAKY, asked=Placement("openvino")), tmp_path / "net")
    with pytest.raises(TargetError, match="000_convolutional: computes in float, an FPGA on integers"):
        written(made(LEAKY, LEAKY, asked=Placement("fpga", keep_float=["000_convolutional"])), tmp_path / "net")
    assert not (tmp_path / "net").exists()


def test_nothing_is_written_where_a_number_differs(made: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ShiftedNetwork, "image_codes", lambda self, values: np.zeros(values.shape, np.int32))

    with pytest.raises(ParityFailed, match="values of image differ from torch's"):
        written(made(LEAKY), tmp_path / "net")
    assert not (tmp_path / "net").exists()
