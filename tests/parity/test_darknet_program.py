"""Debian's darknet (of 2018) reads what we write.

Its program is run as ``QT_QPA_PLATFORM=offscreen darknet detector valid DATA CFG WEIGHTS -out r_`` in a folder that has
a folder ``results`` and a list of at least five pictures: it starts four loaders before it looks how many there are.
The platform must be named because it is linked with OpenCV's Qt windows. It has no way to print a head map; its
library has, when the cfg ends with the convolution that gives one (``libdarknet_head_map.py``).

It adds batch-norm's epsilon, 1e-6, to the root, we inside it: ``sqrt(v) + 1e-6``. Head maps are compared with our
network in float64 with the variance that makes the two the same.
"""

from __future__ import annotations

import copy
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from yoloslim.boxes.detect import DetectSettings
from yoloslim.boxes.iou import pairwise_iou
from yoloslim.boxes.placement import place, to_batch
from yoloslim.compress.pruning.methods import PruneSettings, plan_pruning
from yoloslim.compress.pruning.plan import PruningPlan
from yoloslim.graph.cost import total_cost
from yoloslim.graph.lanes import trace_lanes
from yoloslim.nn.network import Network
from yoloslim.recipes.prune import prune
from yoloslim.runtime.detector import Detector
from yoloslim.runtime.load import Model
from yoloslim.runtime.save import save_all
from yoloslim.runtime.torch_backend import TorchBackend

pytestmark = pytest.mark.slow

LIBRARY = Path("/usr/lib/darknet/libdarknet.so")
HEAD_MAP_PROGRAM = Path(__file__).with_name("libdarknet_head_map.py")
TOLERANCE = 1e-4


@pytest.fixture(scope="module", autouse=True)
def darknet() -> str:
    program = shutil.which("darknet")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("CI is set: `darknet` must be on PATH (apt-get install -y darknet)")
        pytest.skip("no `darknet` on PATH; apt-get install -y darknet")
    return program


def environment() -> dict[str, str]:
    return {**os.environ, "QT_QPA_PLATFORM": "offscreen"}


@pytest.fixture
def coco_names(weights_dir: Path) -> list[str]:
    return (weights_dir / "coco.names").read_text().splitlines()[:80]


@pytest.fixture
def valid(darknet: str, weights_dir: Path, tmp_path: Path) -> Callable[..., dict[str, bytes]]:
    """Gives the files, by name, that ``darknet detector valid`` writes for pictures."""

    def run(cfg: Path, weights: Path, files: Sequence[Path], name: str) -> dict[str, bytes]:
        folder = tmp_path / name
        (folder / "results").mkdir(parents=True)
        (folder / "pictures.txt").write_text("".join(f"{file}\n" for file in files))
        names = weights_dir / "coco.names"
        data = f"classes=80\nvalid=pictures.txt\nnames={names}\nresults=results\neval=none\n"
        (folder / "coco.data").write_text(data)
        command = [darknet, "detector", "valid", "coco.data", str(cfg), str(weights), "-out", "r_"]
        subprocess.run(command, cwd=folder, env=environment(), check=True, capture_output=True, timeout=120)
        return {path.name: path.read_bytes() for path in sorted((folder / "results").iterdir())}

    return run


@pytest.fixture
def darknet_head_maps(darknet: str, tmp_path: Path) -> Callable[[Path, Path, Network, np.ndarray], list[np.ndarray]]:
    """Gives every head map of written files by libdarknet, flat; the network tells only how many numbers they have."""

    def run(cfg: Path, weights: Path, network: Network, batch: np.ndarray) -> list[np.ndarray]:
        np.save(tmp_path / "in.npy", batch)
        sections = re.split(r"(?m)^(?=\[)", cfg.read_text())[1:]
        ends = [index for index, section in enumerate(sections) if section.startswith("[yolo]")]
        with torch.inference_mode():
            floats = [head.numel() for head in network(torch.from_numpy(batch))]
        maps = []
        for end, count in zip(ends, floats, strict=True):
            (tmp_path / "cut.cfg").write_text("".join(sections[:end]))
            files = [tmp_path / "cut.cfg", weights, tmp_path / "in.npy", tmp_path / "out.npy"]
            command = [sys.executable, HEAD_MAP_PROGRAM, LIBRARY, *files, str(count)]
            subprocess.run(command, env=environment(), check=True, capture_output=True, timeout=120)
            maps.append(np.load(tmp_path / "out.npy"))
        return maps

    return run


@dataclass(frozen=True)
class Found:
    """One line of darknet's result files."""

    picture: str
    class_id: int
    score: float
    box: tuple[float, ...]  # xyxy, pixels of the picture, counted from 1


def found_in(files: dict[str, bytes], names: list[str]) -> list[Found]:
    found = []
    for class_id, name in enumerate(names):
        for line in files[f"r_{name}.txt"].decode().splitlines():
            picture, score, *box = line.split()
            found.append(Found(picture, class_id, float(score), tuple(map(float, box))))
    return found


def is_among(others: list[Found], one: Found) -> bool:
    """Tells that another finding is the same, to one hundredth of score and two of area."""
    near = [each for each in others if each.picture == one.picture and each.class_id == one.class_id]
    near = [each for each in near if abs(each.score - one.score) < 0.01]
    boxes = np.array([each.box for each in near], np.float32).reshape(-1, 4)
    return bool((pairwise_iou(np.array([one.box], np.float32), boxes) > 0.98).any())


def with_darknet_epsilon(network: Network) -> Network:
    """Gives the network in float64 with ``sqrt(v + eps)`` equal to Darknet's ``sqrt(v) + 1e-6``."""
    theirs = copy.deepcopy(network).double()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.copy_((module.running_var.sqrt() + 1e-6) ** 2 - module.eps)
    return theirs


def keep_all(model: Model) -> PruningPlan:
    return PruningPlan(np.ones(trace_lanes(model.graph).count, bool))


def written_pruned(model: Model, plan: PruningPlan, folder: Path) -> tuple[Model, Path, Path]:
    small = replace(model, network=prune(model.network, plan).network)
    cfg, weights, _ = save_all(small, folder, "pruned")
    return small, cfg, weights


@pytest.mark.parametrize("name", ["yolov3-tiny", "yolo-fastest-1.1"])
def test_darknet_finds_the_same_in_our_files_byte_for_byte(
    name: str, published: Callable[[str], Model], data_dir: Path, weights_dir: Path, valid: Callable, tmp_path: Path
) -> None:
    model, files = published(name), sorted((data_dir / "images").glob("*.jpg"))
    _, cfg, weights = written_pruned(model, keep_all(model), tmp_path)

    expected = valid(weights_dir / f"{name}.cfg", weights_dir / f"{name}.weights", files, "published")
    found = valid(cfg, weights, files, "ours")

    assert len(expected) == 80
    assert sum(content.count(b"\n") for content in expected.values()) > 100
    assert found == expected


@pytest.mark.parametrize("removed", ["nothing", "normal at 20 %", "half of all lanes"])
@pytest.mark.parametrize("name", ["yolov3-tiny", "yolo-fastest-1.1"])
def test_darknet_computes_our_head_maps_from_pruned_files(
    name: str,
    removed: str,
    published: Callable[[str], Model],
    random_plan: Callable,
    darknet_head_maps: Callable,
    as_channels: Callable,
    difference: Callable,
    pictures: list[np.ndarray],
    tmp_path: Path,
) -> None:
    model = published(name)
    plans = {
        "nothing": lambda: keep_all(model),
        "normal at 20 %": lambda: plan_pruning(model.network, "normal", PruneSettings(0.2)),
        "half of all lanes": lambda: random_plan(model.graph, 0.5, 0),
    }
    small, cfg, weights = written_pruned(model, plans[removed](), tmp_path)
    shape = small.graph.input_shape
    batch = to_batch([place(pictures[0], (shape.width, shape.height), "stretch")[0]])

    theirs = darknet_head_maps(cfg, weights, small.network, batch)
    with torch.inference_mode():
        ours = with_darknet_epsilon(small.network)(torch.from_numpy(batch).double())

    assert difference([as_channels(head).ravel() for head in ours], theirs) <= TOLERANCE


def test_darknet_finds_in_pruned_files_what_we_find(
    published: Callable[[str], Model],
    valid: Callable,
    coco_names: list[str],
    pictures: list[np.ndarray],
    tmp_path: Path,
) -> None:
    """The pictures are of the network's size already: Darknet resizes and letterboxes in its own way."""
    model = published("yolov3-tiny")
    small, cfg, weights = written_pruned(model, plan_pruning(model.network, "normal", PruneSettings(0.05)), tmp_path)
    canvases = [place(picture, (416, 416), "letterbox")[0] for picture in pictures]
    files = [tmp_path / f"{number}.png" for number in range(len(canvases))]
    for file, canvas in zip(files, canvases, strict=True):
        cv2.imwrite(str(file), canvas)
    yolos = tuple(yolo for _, yolo in small.graph.heads)
    backend = TorchBackend(small.network, torch.device("cpu"))
    detector = Detector(backend, yolos, (416, 416), "stretch", DetectSettings(0.1, clip=True))

    theirs = found_in(valid(cfg, weights, files, "pruned"), coco_names)
    ours = [
        Found(file.stem, class_id, score, tuple(box + 1))
        for file, detections in zip(files, detector(canvases), strict=True)
        for box, score, class_id in zip(detections.boxes, detections.scores, detections.class_ids, strict=True)
    ]

    assert total_cost(small.graph).params < 0.95 * total_cost(model.graph).params
    assert len(ours) > 20
    assert [each for each in ours if not is_among(theirs, each)] == []
    assert [each for each in theirs if each.score > 0.11 and not is_among(ours, each)] == []
