"""The built-in recipe: a detector of handwritten digits, made small in a few minutes on two cores."""

from __future__ import annotations

from pathlib import Path

from yoloslim.data.augment import AugmentSettings
from yoloslim.data.digits import write_digit_scenes
from yoloslim.engine.settings import TrainSettings
from yoloslim.recipes.schema import DataTable, ModelTable, PruneTable, Recipe, SparsityTable

SIZE = 160


def demo_recipe(folder: Path, seed: int, device: str) -> Recipe:
    """Gives the recipe, with its data set written into ``folder/data`` unless it is there.

    Digits are neither mirrored nor joined from four pictures; the network is a quarter as wide as published.

    Raises:
        BackendMissing: scikit-learn, which brings the digits, is not installed.
    """
    data = write_digit_scenes(folder / "data", train=800, val=200, size=SIZE, seed=seed)
    train = TrainSettings(epochs=12, batch=16, learning_rate=0.04, ema=0.99, eval_every=4, seed=seed)
    return Recipe(
        name="digits",
        out=str(folder / "run"),
        seed=seed,
        device=device,
        model=ModelTable("yolov3-tiny"),
        data=DataTable(str(data), size=SIZE),
        train=train,
        sparsity=SparsityTable(epochs=6),
        prune=PruneTable(target="params=0.25"),
        finetune=TrainSettings(epochs=6, batch=16, learning_rate=0.02, ema=0.99, eval_every=3, seed=seed),
        augment=AugmentSettings(flip=0.0, mosaic=0.0, scale=0.2),
    )
