"""Recipes: defaults, changes from the command line, and every mistake in one line before anything runs."""

from pathlib import Path

import pytest

from yoloslim.errors import RecipeError
from yoloslim.nn.network import Network
from yoloslim.recipes.read import read_recipe
from yoloslim.runtime.load import Model
from yoloslim.runtime.save import checkpoint_of
from yoloslim.weights.checkpoint import save_checkpoint
from yoloslim.zoo.catalog import find

TEXT = """
seed = 5
[model]
cfg = "yolov3-tiny"
[data]
data = "${PICTURES}/data.yaml"
size = 160
[train]
epochs = 30
learning_rate = 0.02
[sparsity]
epochs = 10
strength = "auto"
[prune]
percent = 0.5
[finetune]
epochs = 7
"""


@pytest.fixture
def recipe_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PICTURES", "/pictures")
    path = tmp_path / "small.toml"
    path.write_text(TEXT)
    return path


def test_a_recipe_has_its_values_and_defaults(recipe_file: Path) -> None:
    recipe = read_recipe(recipe_file)

    assert (recipe.name, recipe.data.data, recipe.data.resize) == ("small", "/pictures/data.yaml", "letterbox")
    assert recipe.prune.percent == 0.5
    assert recipe.train.seed == recipe.finetune.seed == 5


def test_finetuning_takes_from_training_what_it_leaves_out(recipe_file: Path) -> None:
    recipe = read_recipe(recipe_file)

    assert (recipe.finetune.epochs, recipe.finetune.learning_rate) == (7, 0.02)


def test_changes_win_over_the_file(recipe_file: Path) -> None:
    recipe = read_recipe(recipe_file, ["train.epochs=2", "model.weights=a b.weights", "data.size=[320, 192]"])

    assert recipe.train.epochs == 2
    assert recipe.model.weights == "a b.weights"
    assert recipe.data.size == (320, 192)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("trian.epochs=3", r"trian is not a key of a recipe; did you mean train\?"),
        ("train.epoch=3", r"\[train\] epoch is not a key of a recipe; did you mean epochs\?"),
        ("train.seed=3", r"\[train\] seed is not a key of a recipe"),
        ("data.size=big", r"data\.size: expected a whole number or a list, found 'big'"),
        ("data.size=[1,2,3]", r"data\.size: expected a whole number or a list of 2 at most, found \[1, 2, 3\]"),
        ("sparsity.strength=much", r"sparsity\.strength: expected a number or 'auto', found 'much'"),
        ("loss.class_weights=[1,'x']", r"loss\.class_weights\.1: expected a number, found 'x'"),
        ("train.epochs=many", r"train\.epochs: expected a whole number, found 'many'"),
        ("train.epochs=-1", r"epochs: expected 0 to 1e\+06, found -1"),
        ("prune.target=params=0.2", r"\[prune\] needs one of percent .* and target"),
        ("data.resize=crop", r"data\.resize: expected 'letterbox' or 'stretch'"),
        (
            "export.formats=['tflite']",
            r"export\.formats\.0: expected 'onnx', 'openvino' or 'fpga', found 'tflite'",
        ),
        ("measure.backends=['torch']", r"measure\.backends\.0: expected 'onnxruntime' or 'openvino'"),
        ("augment.flip=3", r"flip: expected 0 to 1, found 3"),
        ("data.data=${NOWHERE}/x", r"\$\{NOWHERE\} is not set in the environment"),
        ("train=3", r"train: expected a section, found 3"),
        ("train.batch=0", r"batch: expected 1 to 65536, found 0"),
        ("train.learning_rate=nan", r"learning_rate: expected 0 to 1e\+12, found nan"),
        ("seed=-1", r"seed: expected 0 to"),
        ("prune.method=nope", "no pruning method 'nope'; known: normal, regular"),
        ("prune.percent=2", r"percent is a share from 0 to 1, found 2"),
        ("prune.round=0", r"rounded to a multiple of 1 or more"),
        ("prune.method=layer", r"method layer takes no percent and no target: set blocks, or nothing"),
        ("prune.rounds=0", r"\[prune\] rounds: expected 1 or more, found 0"),
        ("prune.candidates=0", r"\[prune\] candidates: expected 1 or more, found 0"),
        ("prune.freeze=['head']", r"no freeze rule 'head'; known: shortcut"),
        ("prune.score=best", r"prune\.score: expected 'gamma', 'l1'"),
        ("sparsity.strength=0", r"\[sparsity\] strength: expected a number above 0, found 0; .* is dense"),
        ("sparsity.guard=1.5", r"\[sparsity\] guard: expected a share of AP50 from 0 to 1, found 1\.5"),
        ("sparsity.pictures=0", r"\[sparsity\] pictures: expected 1 or more, found 0"),
        ("sparsity.measure_every=-1", r"\[sparsity\] measure_every: expected 0 or more, found -1"),
        ("data.size=-5", r"\[data\] size: expected pixels above 0"),
        ("name=../up", r"name: expected a plain file name, found '\.\./up'"),
        ("epochs", r"--set epochs: expected section\.key=value"),
    ],
)
def test_a_mistake_is_told_in_one_line(recipe_file: Path, change: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as found:
        read_recipe(recipe_file, [change])

    assert "\n" not in str(found.value)


def test_a_file_that_is_missing_or_no_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[train")

    with pytest.raises(RecipeError, match=r"none\.toml: cannot read this recipe: No such file"):
        read_recipe(tmp_path / "none.toml")
    with pytest.raises(RecipeError, match=r"bad\.toml: expected TOML"):
        read_recipe(tmp_path / "bad.toml")


def test_a_recipe_without_pruning_share_is_refused(recipe_file: Path) -> None:
    recipe_file.write_text(TEXT.replace("percent = 0.5", ""))

    with pytest.raises(RecipeError, match="needs one of percent"):
        read_recipe(recipe_file)


def test_a_target_that_cannot_be_read_is_refused_before_training(recipe_file: Path) -> None:
    recipe_file.write_text(TEXT.replace("percent = 0.5", 'target = "params=2"'))

    with pytest.raises(RecipeError, match="expected params=SHARE, macs=SHARE, latency_ms="):
        read_recipe(recipe_file)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["sparsity.schedule=fade", "prune.method=eagleeye"], "fade chooses what goes before training, .* eagleeye"),
        (["sparsity.schedule=fade", "prune.score=taylor"], "fade chooses what goes before training, .* taylor"),
        (["sparsity.schedule=fade", "prune.rounds=2"], "fade brings all that goes to zero at once"),
        (["sparsity.schedule=fade", "sparsity.penalty=layer"], "penalty layer: fade shrinks what .* leave penalty out"),
        (["prune.rounds=2", "finetune.epochs=0"], r"set \[finetune\] epochs"),
        (["distill.method=kd1", "finetune.epochs=0"], r"teaches the fine-tuning, .* set \[finetune\] epochs"),
        (["distill.method=auto", "distill.scale=originals"], "expected one of kd1, .* found method auto"),
        (['export.formats=["fpga"]'], r'set \[quantize\] for = "fpga"'),
        (["prune.rounds=2", "prune.method=layer_channel"], "set blocks, which are shared out over the rounds"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(recipe_file: Path, changes: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        read_recipe(recipe_file, changes)


def test_rounds_need_a_target_that_can_be_reached_in_steps(recipe_file: Path) -> None:
    recipe_file.write_text(TEXT.replace("percent = 0.5", 'target = "latency_ms=5@torch"\nrounds = 2'))
    with pytest.raises(RecipeError, match="only percent, params and macs can be reached in steps"):
        read_recipe(recipe_file)


def test_teachers_are_looked_for_beside_the_recipe(recipe_file: Path) -> None:
    (recipe_file.parent / "dense.safetensors").touch()

    recipe = read_recipe(recipe_file, ['distill.teacher_weights=["dense.safetensors", "else/where.onnx"]'])

    assert recipe.distill is not None
    assert recipe.distill.teachers == ((str(recipe_file.parent / "dense.safetensors"), ""), ("else/where.onnx", ""))


def test_the_method_layer_needs_no_percent(recipe_file: Path) -> None:
    recipe_file.write_text(TEXT.replace("percent = 0.5", 'method = "layer"\nblocks = 2'))
    assert read_recipe(recipe_file).prune.blocks == 2


def test_a_missing_section_is_named(recipe_file: Path) -> None:
    recipe_file.write_text(TEXT.replace('[model]\ncfg = "yolov3-tiny"\n', ""))

    with pytest.raises(RecipeError, match=r"small\.toml: \[model\] is missing$"):
        read_recipe(recipe_file)


def test_files_are_found_beside_the_recipe_before_the_working_folder(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for folder in (tmp_path, elsewhere):
        (folder / "cells.yaml").write_text("")
    (elsewhere / "own.weights").write_text("")

    recipe = read_recipe(recipe_file, ["data.data=cells.yaml", "model.weights=own.weights"])

    assert recipe.data.data == str(tmp_path / "cells.yaml")
    assert recipe.model.weights == "own.weights"
    assert recipe.model.cfg == "yolov3-tiny"


def test_pictures_are_fitted_as_for_the_checkpoint_beside_the_recipe(recipe_file: Path) -> None:
    network = Network(find("yolov3-tiny", width=0.125))
    save_checkpoint(recipe_file.parent / "start.safetensors", checkpoint_of(Model(network, resize="stretch")))
    start = "model.weights=start.safetensors"

    found = [read_recipe(recipe_file, [start, *more]).data.resize for more in ((), ("data.resize=letterbox",))]

    assert found == ["stretch", "letterbox"]
