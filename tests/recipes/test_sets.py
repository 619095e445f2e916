"""The data sets of a recipe as one: classes, splits, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from yoloslim.data.dataset import Dataset
from yoloslim.data.joint import JointDataset
from yoloslim.data.sampling import SamplingSettings
from yoloslim.errors import DataError, RecipeError
from yoloslim.recipes.read import parse_recipe, read_recipe
from yoloslim.recipes.schema import DataTable
from yoloslim.recipes.sets import load_sets

WriteFile = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> WriteFile:
    """Writes a set of one picture with the given classes, and gives its data file."""

    def write_file(name: str, classes: str, splits: str = "train: images\nval: images\n") -> str:
        folder = tmp_path / name
        for part in ("images", "labels"):
            (folder / part).mkdir(parents=True)
        cv2.imwrite(str(folder / "images/0.png"), np.zeros((8, 8, 3), np.uint8))
        (folder / "labels/0.txt").write_text("0 .5 .5 .5 .5\n")
        (folder / "data.yaml").write_text(f"{splits}names: [{classes}]\n")
        return str(folder / "data.yaml")

    return write_file


def test_one_set_is_itself(write: WriteFile) -> None:
    training, validation = load_sets(DataTable(write("a", "car, bus")))

    assert isinstance(training, Dataset)
    assert isinstance(validation, Dataset)


def test_classes_of_one_set_can_be_joined(write: WriteFile) -> None:
    table = DataTable(write("a", "car, bus, person"), label_map={"car": "vehicle", "bus": "vehicle"})

    for found in load_sets(table):
        assert found.names == ("vehicle", "person")


def test_names_of_all_sets_and_of_one_are_mapped(write: WriteFile) -> None:
    files = (write("a", "car, bus"), write("b", "car, person"))

    training, validation = load_sets(DataTable(files, label_map={"car": "vehicle", "b/data.yaml": {"car": "waggon"}}))

    assert training.names == validation.names == ("vehicle", "bus", "waggon", "person")


def test_a_set_without_pictures_to_measure_on_is_trained_on_alone(
    write: WriteFile, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    files = (write("a", "car", "train: images\n"), write("b", "bus"))

    training, validation = load_sets(DataTable(files))

    assert (len(training), len(validation)) == (2, 1)
    assert training.names == validation.names == ("car", "bus")
    assert isinstance(validation, JointDataset)
    assert validation.parts[0].unlabelled == {0}
    assert f"{files[0]} has no split val: its pictures are trained on alone" in caplog.messages


def test_one_set_must_have_pictures_to_measure_on(write: WriteFile) -> None:
    files = tuple(write(name, "car", "train: images\n") for name in "ab")

    with pytest.raises(DataError, match=r"a/data\.yaml: expected a split 'val'"):
        load_sets(DataTable(files))


def test_as_a_single_class_all_sets_have_the_first_of_the_first(write: WriteFile) -> None:
    files = (write("a", "hand, foot"), write("b", "person, face"))

    training, _ = load_sets(DataTable(files, single_class=True))

    assert training.names == ("hand",)
    assert [loaded.annotation.class_ids.tolist() for loaded in training] == [[0], [0]]
    assert all(not part.unlabelled for part in training.parts)


@pytest.mark.parametrize(
    ("label_map", "message"),
    [
        ({"cart": "vehicle"}, r"\[data.label_map\] 'cart' is no class of any data set; did you mean 'car'\?"),
        ({"b/data.yaml": {"car": "x"}}, r"'car' is no class of .*b/data\.yaml; known: bus, person"),
        ({"car": ""}, r"'car': expected the name of a class, found none"),
        ({"c.yaml": {"car": "x"}}, r"\[data.label_map\] c\.yaml: expected one of the data files, .*; found 0 of it"),
        ({"data.yaml": {"car": "x"}}, r"found 2 of it"),
    ],
)
def test_a_label_map_that_fits_nothing_is_refused(write: WriteFile, label_map: Mapping[str, Any], message: str) -> None:
    files = (write("a", "car"), write("b", "bus, person"))

    with pytest.raises(RecipeError, match=message):
        load_sets(DataTable(files, label_map=label_map))


def test_a_label_map_beside_a_single_class_is_refused(write: WriteFile) -> None:
    with pytest.raises(RecipeError, match="single_class makes all classes one"):
        load_sets(DataTable(write("a", "car"), single_class=True, label_map={"car": "x"}))


def test_there_is_a_weight_for_each_set(write: WriteFile) -> None:
    files = (write("a", "car"), write("b", "bus"))

    with pytest.raises(RecipeError, match=r"\[data.sampling\] weights: expected one for each of 2 data sets, found 3"):
        load_sets(DataTable(files, sampling=SamplingSettings(weights=(1, 2, 3))))


# ---- in a recipe file ------------------------------------------------------------------------------------------------

RECIPE = """
[model]
cfg = "yolov3-tiny"
[data]
data = ["a/data.yaml", "b.data"]
[data.label_map]
car = "vehicle"
"b.data" = { car = "waggon" }
[data.sampling]
weights = [1, 3]
repeat_threshold = 0.1
background = 0.05
[data.loader]
shape = "rect"
multi_scale = 0.25
cache = "memory"
cache_gb = 8
[augment]
mixup = 0.1
cutout = 0.2
[train]
epochs = 1
[prune]
percent = 0.5
"""


def test_a_recipe_states_sets_sampling_and_loader(tmp_path: Path, write: WriteFile) -> None:
    write("a", "car")
    (tmp_path / "recipe.toml").write_text(RECIPE)

    recipe = read_recipe(tmp_path / "recipe.toml")

    table = recipe.data
    assert table.files == (str(tmp_path / "a/data.yaml"), "b.data")  # found beside the recipe, and not found
    assert table.label_map == {"car": "vehicle", "b.data": {"car": "waggon"}}
    assert table.sampling == SamplingSettings((1, 3), 0.1, 0.05)
    assert (table.loader.shape, table.loader.multi_scale, table.loader.cache_gb) == ("rect", 0.25, 8)
    assert (recipe.augment.mixup, recipe.augment.cutout) == (0.1, 0.2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": []}, r"\[data\] data: expected one or more data files"),
        ({"data": ["a", ""]}, r"\[data\] data: expected one or more data files"),
        ({"sampling": {"weight": [1]}}, r"\[data.sampling\] weight is not a key of a recipe; did you mean weights\?"),
        ({"sampling": {"weights": [0]}}, r"sampling weights: expected 0.01 to 100, found 0"),
        ({"loader": {"shape": "square"}}, r"data.loader.shape: expected 'fixed' or 'rect', found 'square'"),
        ({"loader": {"multi_scale": 2}}, r"loader multi_scale: expected 0 to 0.9, found 2"),
        ({"label_map": {"car": 3}}, r"data.label_map.car"),
    ],
)
def test_what_a_recipe_gets_wrong_is_named(change: Mapping[str, Any], message: str) -> None:
    tables = {"model": {"cfg": "yolov3-tiny"}, "train": {"epochs": 1}, "prune": {"percent": 0.5}, "name": "a"}

    with pytest.raises(RecipeError, match=message):
        parse_recipe({**tables, "data": {"data": "a.yaml", **change}}, "recipe.toml")
