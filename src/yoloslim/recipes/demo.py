"""The built-in recipe: a detector of handwritten digits, made small in a few minutes on two cores."""

from __future__ import annotations

from pathlib import Path

from yoloslim.data.augment import AugmentSettings
from yoloslim.data.digits import write_digit_scenes
from yoloslim.engine.settings import TrainSettings
from yoloslim.files import write_atomically
from yoloslim.graph.to_cfg import to_cfg
from yoloslim.recipes.schema import DataTable, ModelTable, PruneTable, Recipe, SparsityTable
from yoloslim.zoo.catalog import find

SIZE = 160
WIDTH = 0.25
"""Of yolov3-tiny: digits need no more, and it trains in minutes."""

ANCHORS = ((14, 22), (18, 30), (23, 36), (27, 42), (33, 48), (40, 54))


def demo_recipe(folder: Path, seed: int, device: str) -> Recipe:
    """Gives the recipe, with its data set and cfg written into ``folder/data``; scenes that are there stay.

    Digits are neither mirrored nor joined from four pictures.

    Raises:
        BackendMissing: scikit-learn, which brings the digits, is not installed.
    """
    data = write_digit_scenes(folder / "data", train=800, val=200, size=SIZE, seed=seed)
    cfg = folder / "digits.cfg"
    with write_atomically(cfg) as temporary:
        temporary.write_text(to_cfg(find("yolov3-tiny", 10, ANCHORS, (SIZE, SIZE), WIDTH)))
    train = TrainSettings(epochs=30, batch=16, learning_rate=0.05, ema=0.99, eval_every=5, seed=seed)
    return Recipe(
        name="digits",
        out=str(folder / "run"),
        seed=seed,
        device=device,
        model=ModelTable(str(cfg)),
        data=DataTable(str(data), size=SIZE),
        train=train,
        sparsity=SparsityTable(epochs=10),
        prune=PruneTable(target="params=0.28"),
        finetune=TrainSettings(epochs=20, batch=16, learning_rate=0.03, ema=0.99, eval_every=5, seed=seed),
        augment=AugmentSettings(flip=0.0, mosaic=0.0, scale=0.2),
    )
