"""The whole road on tiny pictures: every stage, its files, and going on after an interruption."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from yoloslim.data.augment import AugmentSettings
from yoloslim.data.batches import LoaderSettings
from yoloslim.data.sampling import SamplingSettings
from yoloslim.engine.settings import TrainSettings
from yoloslim.engine.task import Hooks
from yoloslim.errors import RecipeError, WeightsError
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.ops import Convolution
from yoloslim.recipes.compress import Watch, compress
from yoloslim.recipes.run_report import write_report
from yoloslim.recipes.schema import (
    DataTable,
    DistillTable,
    ExportTable,
    MeasureTable,
    ModelTable,
    PruneTable,
    QuantizeTable,
    Recipe,
    SparsityTable,
)
from yoloslim.runtime.load import load
from yoloslim.weights.checkpoint import load_checkpoint

pytestmark = pytest.mark.medium

BLOCK = """[convolutional]
batch_normalize=1
filters={filters}
size=3
stride=2
pad=1
activation=leaky
"""
CFG = (
    "[net]\nwidth=64\nheight=64\n"
    + "".join(BLOCK.format(filters=filters) for filters in (8, 16, 32))
    + "[convolutional]\nfilters=21\nsize=1\nactivation=linear\n"
    + "[yolo]\nmask=0,1,2\nanchors=8,8,16,16,32,32\nclasses=2\n"
)


def graph() -> Graph:
    return parse_cfg(CFG)


def write_squares(folder: Path, split: str, count: int) -> None:
    """Bright squares (class 0) and dark ones (class 1) on grey."""
    rng = np.random.default_rng(len(split))
    for name in ("images", "labels"):
        (folder / name / split).mkdir(parents=True)
    for number in range(count):
        picture = np.full((64, 64, 3), 128, np.uint8)
        class_id, side = number % 2, int(rng.integers(10, 24))
        x, y = rng.integers(0, 64 - side, 2).tolist()
        picture[y : y + side, x : x + side] = 255 * (1 - class_id)
        cv2.imwrite(str(folder / "images" / split / f"{number}.png"), picture)
        box = [(x + side / 2) / 64, (y + side / 2) / 64, side / 64, side / 64]
        (folder / "labels" / split / f"{number}.txt").write_text(" ".join(map(str, [class_id, *box])))


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    write_squares(tmp_path / "data", "train", 24)
    write_squares(tmp_path / "data", "val", 8)
    data = tmp_path / "data.yaml"
    data.write_text("path: data\ntrain: images/train\nval: images/val\nnames: [bright, dark]\n")
    train = TrainSettings(epochs=2, batch=8, learning_rate=0.05, workers=0, ema=0.9)
    return Recipe(
        name="squares",
        out=str(tmp_path / "run"),
        device="cpu",
        model=ModelTable("squares.cfg"),
        data=DataTable(str(data)),
        train=train,
        sparsity=SparsityTable(epochs=1),
        prune=PruneTable(target="params=0.5"),
        finetune=replace(train, epochs=1),
        augment=AugmentSettings.off(),
    )


def test_every_stage_leaves_its_row_and_its_files(recipe: Recipe) -> None:
    stages = compress(recipe, graph())

    folder = Path(recipe.out)
    summary = json.loads((folder / "summary.json").read_text())
    assert [row["name"] for row in summary["stages"]] == ["dense", "sparse", "pruned", "finetuned", "exported"]
    assert all(Path(row["path"]).exists() for row in summary["stages"])
    assert stages[2].params <= 0.5 * stages[0].params
    assert stages[-1].map50 == pytest.approx(stages[-2].map50, abs=0.002)
    for name in ("pruned/plan.json", "pruned/squares.cfg", "pruned/squares.weights", "sparse/results.csv"):
        assert (folder / name).exists(), name
    page = (folder / "report.html").read_text()
    assert page.count("<figure>") == 8
    assert "exported" in page
    (folder / "report.html").unlink()
    assert write_report(folder).read_text().count("<figure>") == 8


def test_every_file_is_measured_by_the_backends_that_run_it(recipe: Recipe) -> None:
    short = replace(recipe, train=replace(recipe.train, epochs=0), sparsity=SparsityTable())
    tables = {"export": ExportTable(("onnx", "openvino")), "measure": MeasureTable(("onnxruntime", "openvino"))}

    stages = compress(replace(short, **tables), graph())

    exported = {stage.name: stage for stage in stages if stage.name.startswith("exported")}
    backends = [(stage.backend, Path(stage.path).suffix) for stage in exported.values()]
    assert list(exported) == ["exported-onnx-onnxruntime", "exported-onnx-openvino", "exported-openvino-openvino"]
    assert backends == [("onnxruntime", ".onnx"), ("openvino", ".onnx"), ("openvino", ".xml")]
    assert all(stage.map50 == pytest.approx(stages[-4].map50, abs=0.002) for stage in exported.values())
    assert all(stage.bytes > 4 * stage.params for stage in exported.values())  # weights included


def test_integers_for_an_fpga_are_measured_by_their_own_runtime(recipe: Recipe) -> None:
    short = replace(recipe, train=replace(recipe.train, epochs=0), sparsity=SparsityTable())
    quantize = QuantizeTable(target="fpga", power_of_two=True, pictures=8)

    stages = compress(replace(short, quantize=quantize, export=ExportTable(("fpga",))), graph())

    assert stages[-1].backend == "integer"
    assert Path(stages[-1].path) == Path(recipe.out) / "exported" / "squares" / "index.json"
    assert stages[-1].map50 == pytest.approx(stages[-2].map50, abs=0.002)


def test_a_grey_network_takes_the_road_with_batches_of_many_shapes(recipe: Recipe) -> None:
    data = replace(recipe.data, loader=LoaderSettings(shape="rect", multi_scale=0.5, multi_scale_every=1))
    augment = AugmentSettings(mosaic=0.3, mixup=0.3, cutout=0.3)
    prune = replace(recipe.prune, recalibrate=8)
    grey = parse_cfg(CFG.replace("[net]\n", "[net]\nchannels=1\n"))

    stages = compress(replace(recipe, data=data, augment=augment, prune=prune), grey)

    assert load(Path(stages[0].path), None).graph.input_shape == (1, 64, 64)
    assert stages[-1].map50 == pytest.approx(stages[-2].map50, abs=0.002)


def test_several_sets_take_the_road_together(recipe: Recipe, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("path: data\ntrain: images/train\nnames: [light, night]\n")
    sampling = SamplingSettings(weights=(1, 0.5), repeat_threshold=0.9)
    label_map = {"light": "bright"}
    data = replace(recipe.data, data=(str(tmp_path / "data.yaml"), str(other)), sampling=sampling, label_map=label_map)

    stages = compress(replace(recipe, data=data), graph())

    trained = load(Path(stages[0].path), None)
    assert trained.names == ("bright", "dark", "night")
    assert trained.graph.classes == 3
    assert len(stages) == 5


def test_fading_makes_pruning_lossless(recipe: Recipe) -> None:
    fading = replace(recipe, sparsity=SparsityTable(epochs=2, schedule="fade"))

    stages = {stage.name: stage for stage in compress(fading, graph())}

    sparse, pruned = (load(Path(stages[name].path), None).network for name in ("sparse", "pruned"))
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert stages["pruned"].params <= 0.5 * stages["sparse"].params
    for wide, small in zip(sparse(images), pruned(images), strict=True):
        torch.testing.assert_close(small, wide)


@pytest.mark.parametrize("rounds", [1, 2])
def test_the_dense_network_teaches_the_pruned_one(recipe: Recipe, rounds: int) -> None:
    table = DistillTable(method="channels")
    short = replace(recipe, sparsity=SparsityTable(), prune=replace(recipe.prune, rounds=rounds), distill=table)

    stages = compress(short, graph())

    columns = {
        s.name: (Path(recipe.out) / s.name / "results.json").read_text()
        for s in stages
        if s.name != "exported" and "pruned" not in s.name
    }
    assert all(("distill_channels" in text) == name.startswith("finetuned") for name, text in columns.items())
    assert len(columns) == 1 + rounds
    state = load_file(Path(recipe.out) / "finetuned" / "state.safetensors")
    assert not [name for name in state if name.startswith("probes/")]  # its channels are known: nothing is adapted


def test_a_named_teacher_is_looked_for_before_anything_runs(recipe: Recipe) -> None:
    with pytest.raises(WeightsError, match=r"none\.safetensors"):
        compress(replace(recipe, distill=DistillTable("none.safetensors")), graph())

    assert not Path(recipe.out).exists()


def test_rounds_of_pruning_are_fine_tuned_between(recipe: Recipe) -> None:
    rounds = replace(
        recipe,
        sparsity=SparsityTable(),
        prune=PruneTable(method="slim", target="params=0.25", rounds=3, min_keep=0.01),
        finetune=replace(recipe.train, epochs=3),
    )
    stages = {stage.name: stage for stage in compress(rounds, graph())}

    assert list(stages) == [
        "dense",
        *("pruned-1", "finetuned-1", "pruned-2", "finetuned-2"),
        *("pruned", "finetuned", "exported"),
    ]
    sizes = [stages[name].params / stages["dense"].params for name in ("pruned-1", "pruned-2", "pruned")]
    assert sizes == pytest.approx([0.25 ** (1 / 3), 0.25 ** (2 / 3), 0.25], abs=0.04)  # one channel is .02 to .04
    tuned = [name for name in stages if name.startswith("finetuned")]
    epochs = {name: len(json.loads((Path(rounds.out) / name / "results.json").read_text())) for name in tuned}
    assert epochs == {"finetuned-1": 1, "finetuned-2": 1, "finetuned": 3}
    origin = load_checkpoint(stages["finetuned"].path).origin
    filters = {node.name: node.op.filters for node in graph() if isinstance(node.op, Convolution)}
    assert {name: kept["node"] for name, kept in origin["nodes"].items()} == {node.name: node.name for node in graph()}
    assert all(max(origin["nodes"][name]["channels"]) < count for name, count in filters.items())


def test_pictures_can_decide_what_is_pruned(recipe: Recipe) -> None:
    table = PruneTable(method="eagleeye", target="params=0.5", candidates=2, pictures=4)
    short = replace(recipe, train=replace(recipe.train, epochs=0), sparsity=SparsityTable(), prune=table)
    stages = {stage.name: stage for stage in compress(short, graph())}
    assert stages["pruned"].params <= 0.5 * stages["dense"].params


def test_an_interrupted_run_goes_on_and_ends_the_same(recipe: Recipe, tmp_path: Path) -> None:
    whole = compress(replace(recipe, out=str(tmp_path / "whole")), graph())

    def stop_in(name: str, settings: TrainSettings) -> Hooks:
        def stop(epoch: int, done: int, count: int) -> None:
            if name == "finetuned":
                raise KeyboardInterrupt

        return Hooks(on_batch=stop)

    with pytest.raises(KeyboardInterrupt):
        compress(recipe, graph(), Watch(hooks=stop_in))
    found: dict[str, bool] = {}
    resumed = compress(recipe, graph(), Watch(stage=found.__setitem__))

    assert found == {"dense": True, "sparse": True, "pruned": True, "finetuned": False, "exported": False}
    assert [(s.name, s.params, s.map50) for s in resumed] == [(s.name, s.params, s.map50) for s in whole]


def test_a_folder_of_another_recipe_is_refused(recipe: Recipe) -> None:
    first = replace(recipe, train=replace(recipe.train, epochs=0), sparsity=SparsityTable())
    compress(first, graph())

    with pytest.raises(RecipeError, match=r"holds the run of another recipe \(prune changed\)"):
        compress(replace(first, prune=PruneTable(percent=0.1)), graph())


def test_a_folder_whose_recipe_cannot_be_read_is_refused(recipe: Recipe) -> None:
    first = replace(recipe, train=replace(recipe.train, epochs=0), sparsity=SparsityTable())
    compress(first, graph())
    (Path(recipe.out) / "recipe.toml").write_text("{half")

    with pytest.raises(RecipeError, match=r"recipe\.toml: expected TOML: .*; set another out"):
        compress(first, graph())
