"""Published networks on integers: size of the file, what is on integers, and whose codes come out."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import onnx
import pytest
import torch

from yoloslim.boxes.placement import place as placed
from yoloslim.boxes.placement import to_batch
from yoloslim.cli.inputs import graph_of
from yoloslim.recipes.export import export
from yoloslim.recipes.quantize import quantize
from yoloslim.recipes.schema import QuantizeTable
from yoloslim.runtime.load import load, with_network

SIZES = {"yolov3-tiny": 0.27, "yolo-fastest-1.1-xl": 0.36, "MobileNetV2-YOLOv3-Nano-coco": 0.33}


def on_codes(model: onnx.ModelProto) -> Sequence[bool]:
    """Whether the picture and the weights that each convolution reads come from codes."""
    makers = {output: node.op_type for node in model.graph.node for output in node.output}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    return [all(makers.get(name) == "DequantizeLinear" for name in node.input[:2]) for node in convolutions]


@pytest.mark.medium
@pytest.mark.parametrize("name", SIZES)
def test_a_published_network_becomes_a_small_file_of_whole_numbers(
    name: str, weights_dir: Path, data_dir: Path, tmp_path: Path
) -> None:
    cfg = name if name == "yolov3-tiny" else str(weights_dir / f"{name}.cfg")
    model = load(weights_dir / f"{name}.weights", graph_of(cfg))
    shape = model.graph.input_shape
    pictures = [cv2.imread(str(path)) for path in sorted((data_dir / "images").glob("*.jpg"))]
    canvases = [placed(picture, (shape.width, shape.height), model.resize)[0] for picture in pictures]
    batch = to_batch(canvases, shape.channels)

    made = quantize(model.network, QuantizeTable(), [torch.from_numpy(batch)])
    parity = export(with_network(model, made.network), tmp_path / "q.onnx", [batch[:1]])
    export(model, tmp_path / "f.onnx", [batch[:1]])

    share = (tmp_path / "q.onnx").stat().st_size / (tmp_path / "f.onnx").stat().st_size
    assert share <= SIZES[name]
    found = on_codes(onnx.load(tmp_path / "q.onnx"))
    assert all(found)
    assert len(found) == len(made.network.plan.kernels)
    assert parity.layers is not None
    assert parity.layers.holds
