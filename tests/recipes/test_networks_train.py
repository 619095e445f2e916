"""Networks with depthwise convolutions, squeeze-and-excitation and shortcuts learn the digit scenes and are pruned."""

from pathlib import Path

import pytest

from yoloslim.data.augment import AugmentSettings
from yoloslim.data.digits import write_digit_scenes
from yoloslim.engine.settings import TrainSettings
from yoloslim.recipes.compress import compress
from yoloslim.recipes.schema import DataTable, ModelTable, PruneTable, Recipe, SparsityTable
from yoloslim.zoo.catalog import find

pytestmark = pytest.mark.slow

SIZE = 96
BACKBONES = ("mobilenetv3-small", "mobilenetv3-large", "ghostnet", "efficientnet-b0", "elan-tiny", "csp-tiny")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_digit_scenes(tmp_path_factory.mktemp("digits"), train=64, val=16, size=SIZE, seed=0)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_network_learns_and_is_pruned(backbone: str, digits: Path, tmp_path: Path) -> None:
    train = TrainSettings(epochs=12, batch=8, learning_rate=0.1, workers=0, ema=0.9, eval_every=12)
    recipe = Recipe(
        name="digits",
        out=str(tmp_path / "run"),
        device="cpu",
        model=ModelTable(backbone),
        data=DataTable(str(digits)),
        train=train,
        sparsity=SparsityTable(epochs=3, schedule="fade"),
        prune=PruneTable(target="params=0.8", normalize="layer"),
        finetune=TrainSettings(epochs=1, batch=8, learning_rate=0.05, workers=0, ema=0.9),
        augment=AugmentSettings.off(),
    )

    stages = {s.name: s for s in compress(recipe, find(f"{backbone}+yolov3-tiny", 10, size=(SIZE, SIZE), width=0.25))}

    losses = [float(line.split(",")[2]) for line in (tmp_path / "run/dense/results.csv").read_text().splitlines()[1:]]
    assert losses[-1] < 0.8 * losses[0]
    assert stages["pruned"].params <= 0.8 * stages["dense"].params
    assert stages["pruned"].map50 == pytest.approx(stages["sparse"].map50, abs=0.002)  # fading made pruning lossless
    assert stages["exported"].map50 == pytest.approx(stages["finetuned"].map50, abs=0.002)
