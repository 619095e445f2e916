"""The training loop: it learns, it can be stopped anywhere, and what it leaves is whole."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from yoloslim.engine.processes import with_synchronised_norms
from yoloslim.engine.settings import Precision, TrainSettings
from yoloslim.engine.state import load_state_file
from yoloslim.engine.task import Batch, Hooks, Task
from yoloslim.engine.train import train
from yoloslim.errors import RecipeError, WeightsError
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.losses.detection import LossTerms, detection_loss
from yoloslim.losses.settings import LossSettings
from yoloslim.nn.network import Network

CFG = """[net]
width=32
height=32
[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky
[dropout]
probability=.2
[convolutional]
batch_normalize=1
filters=16
size=3
stride=2
pad=1
activation=leaky
[convolutional]
filters=7
size=1
activation=linear
[yolo]
mask=0
anchors=10,10
classes=2
"""
SETTINGS = TrainSettings(epochs=4, batch=4, learning_rate=0.5, workers=0, ema=0.9, seed=3)


@dataclass(frozen=True)
class Pictures:
    """One white square a picture, on black."""

    images: Tensor
    targets: Tensor


def batches(epoch: int, first: int) -> Iterator[Pictures]:
    return islice(all_batches(epoch), first, None)


def all_batches(epoch: int) -> Iterator[Pictures]:
    generator = torch.Generator().manual_seed(epoch)
    for _ in range(5):
        corners = torch.randint(0, 22, (4, 2), generator=generator)
        images = torch.zeros(4, 3, 32, 32, dtype=torch.uint8)
        rows = []
        for index, (x, y) in enumerate(corners.tolist()):
            images[index, :, y : y + 10, x : x + 10] = 255
            rows.append([index, index % 2, (x + 5) / 32, (y + 5) / 32, 10 / 32, 10 / 32])
        yield Pictures(images, torch.tensor(rows))


def network(cfg: str = CFG) -> Network:
    torch.manual_seed(0)
    return Network(parse_cfg(cfg))


def task(folder: Path, **changes: object) -> Task:
    yolos = [yolo for _, yolo in network().graph.heads]

    def write(made: Network, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"checkpoint")

    def evaluate(made: Network) -> Mapping[str, float]:
        assert not made.training
        return {"map50": 0.5, "map": 0.25, "precision": 0.5, "recall": 0.5, "f1": 0.5}

    def loss(head_maps: Sequence[Tensor], batch: Batch, progress: float) -> LossTerms:
        return detection_loss(head_maps, batch.targets, yolos, (32, 32), LossSettings())

    return replace(Task(batches, 5, loss, evaluate, write, folder), **changes)


class Stopped(Exception):
    """Stands for a user who interrupts."""


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_boxes_come_to_fit(tmp_path: Path, precision: Precision) -> None:
    settings = replace(SETTINGS, epochs=12, learning_rate=0.3, precision=precision)

    rows = train(network(), task(tmp_path, evaluate=None), settings, device="cpu").rows

    assert [row["epoch"] for row in rows] == list(range(1, 13))
    assert rows[-1]["box"] < 0.7 * rows[0]["box"]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"save_every": 2},
        {"save_every": 1, "batch": 4, "accumulate_to": 8},
        {"save_every": 1, "optimizer": "adamw", "learning_rate": 0.02},
        {"save_every": 2, "optimizer": "adam", "learning_rate": 0.02, "schedule": "step"},
        {"save_every": 1, "precision": "bf16-mixed", "schedule": "linear"},
    ],
)
def test_an_interrupted_training_ends_where_an_uninterrupted_one_does(tmp_path: Path, changes: dict[str, Any]) -> None:
    settings = replace(SETTINGS, **changes)
    whole = train(network(), task(tmp_path / "whole"), settings, device="cpu")

    for stop in ((1, 4), (2, 1), (3, 5)):
        with pytest.raises(Stopped):
            train(network(), task(tmp_path / "part"), settings, device="cpu", hooks=Hooks(on_batch=stop_at(*stop)))
    resumed = train(network(), task(tmp_path / "part"), settings, device="cpu")

    for name, tensor in whole.network.state_dict().items():
        torch.testing.assert_close(resumed.network.state_dict()[name], tensor, rtol=0, atol=0, msg=name)
    assert [row["loss"] for row in resumed.rows] == [row["loss"] for row in whole.rows]


def stop_at(epoch: int, batch: int) -> Callable[[int, int, int], None]:
    def stop(at_epoch: int, done: int, count: int) -> None:
        if (at_epoch, done) == (epoch, batch):
            raise Stopped

    return stop


def test_no_batch_is_done_twice_where_the_state_is_saved_after_every_step(tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []

    def stop(epoch: int, batch: int, count: int) -> None:
        done.append((epoch, batch))
        if len(done) in (3, 8):
            raise Stopped

    settings = replace(SETTINGS, save_every=1, epochs=2)
    for _ in range(2):
        with pytest.raises(Stopped):
            train(network(), task(tmp_path), settings, device="cpu", hooks=Hooks(on_batch=stop))
    train(network(), task(tmp_path), settings, device="cpu", hooks=Hooks(on_batch=stop))

    repeated = {place for place in done if done.count(place) > 1}
    assert repeated == {done[2], done[7]}  # those whose step was cut short


def test_a_finished_training_is_not_done_again(tmp_path: Path) -> None:
    first = train(network(), task(tmp_path), SETTINGS, device="cpu")

    def fail(epoch: int, first: int) -> Iterator[Pictures]:
        raise AssertionError("asked for pictures")

    again = train(network(), task(tmp_path, batches=fail), SETTINGS, device="cpu")

    assert again.rows == first.rows


def test_the_folder_holds_results_plots_and_checkpoints(tmp_path: Path) -> None:
    train(network(), task(tmp_path), replace(SETTINGS, epochs=2, eval_every=2), device="cpu")

    with (tmp_path / "results.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["map50"] for row in table] == ["", "0.5"]  # evaluated every second epoch
    assert len(json.loads((tmp_path / "results.json").read_text())) == 2
    names = [f"{stem}.safetensors" for stem in ("last", "best", "state")]
    for name in (*names, "plots/losses.png", "plots/accuracy.png", "plots/rate.png"):
        assert (tmp_path / name).stat().st_size > 0, name
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_the_state_of_another_training_is_refused(tmp_path: Path) -> None:
    train(network(), task(tmp_path, identity="one"), replace(SETTINGS, epochs=1), device="cpu")

    with pytest.raises(RecipeError, match="holds the state of another training"):
        train(network(), task(tmp_path, identity="two"), replace(SETTINGS, epochs=1), device="cpu")


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.safetensors").write_bytes(b"half a file")

    with pytest.raises(WeightsError, match=r"state\.safetensors: expected the state of a training"):
        train(network(), task(tmp_path), SETTINGS, device="cpu")


def test_a_loss_that_is_not_finite_stops_with_its_place_and_pictures(tmp_path: Path) -> None:
    settings = replace(SETTINGS, learning_rate=1e12, gradient_clip=0.0)
    named = task(tmp_path, names=lambda epoch, batch: [f"{epoch}-{batch}-{index}.jpg" for index in range(6)])

    with pytest.raises(
        RecipeError, match=r"not finite at epoch \d, step \d+ .* on \d-\d-0.jpg, .* and 2 more; .*lower"
    ):
        train(network(), named, settings, device="cpu")


def test_the_last_good_checkpoint_is_named_where_the_loss_is_not_finite(tmp_path: Path) -> None:
    calls = iter(range(100))

    def loss(head_maps: Sequence[Tensor], batch: Batch, progress: float) -> LossTerms:
        zero = head_maps[0].sum() * 0
        return LossTerms(zero / 0 if next(calls) == 7 else zero, zero, zero)

    with pytest.raises(RecipeError, match=r"at epoch 2, step 8 .*last\.safetensors is the last good checkpoint"):
        train(network(), task(tmp_path, loss=loss), SETTINGS, device="cpu")


def test_too_little_memory_names_a_batch_that_may_fit(tmp_path: Path) -> None:
    def loss(head_maps: Sequence[Tensor], batch: Batch, progress: float) -> LossTerms:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(RecipeError, match="not enough memory for batch=4 at 32x32; batch=2 with accumulate_to=4"):
        train(network(), task(tmp_path, loss=loss), SETTINGS, device="cpu")


def test_the_optimiser_moves_once_for_the_batches_of_a_step(tmp_path: Path) -> None:
    steps: list[int] = []
    hooks = Hooks(after_step=lambda done, rate: steps.append(done))

    train(network(), task(tmp_path), replace(SETTINGS, accumulate_to=8, epochs=1), device="cpu", hooks=hooks)

    assert steps == [1, 2, 3]  # five batches: two, two, one


def test_the_loss_is_told_how_much_of_the_training_is_done(tmp_path: Path) -> None:
    told: list[float] = []

    def loss(head_maps: Sequence[Tensor], batch: Batch, progress: float) -> LossTerms:
        told.append(progress)
        zero = sum(head_map.sum() * 0 for head_map in head_maps)
        return LossTerms(zero, zero, zero)

    whole = replace(SETTINGS, epochs=2, save_every=1)
    with pytest.raises(Stopped):
        train(network(), task(tmp_path, loss=loss), whole, device="cpu", hooks=Hooks(on_batch=stop_at(0, 4)))
    train(network(), task(tmp_path, loss=loss), whole, device="cpu")

    assert told == pytest.approx([0.0, 0.1, 0.2, 0.3, *(0.3 + step / 10 for step in range(7))])


def test_frozen_nodes_stay_as_they_were(tmp_path: Path) -> None:
    before = network().state_dict()

    after = train(network(), task(tmp_path), replace(SETTINGS, freeze=("000_*",)), device="cpu").network.state_dict()

    changed = {name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"002_convolutional", "003_convolutional"}


@pytest.mark.parametrize(
    ("pattern", "message"), [("7*", r"freeze: no node matches '7\*'"), ("*", "freeze: nothing is left to learn")]
)
def test_freezing_nothing_or_everything_is_refused(tmp_path: Path, pattern: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        train(network(), task(tmp_path), replace(SETTINGS, freeze=(pattern,)), device="cpu")


def test_training_ends_when_accuracy_has_stopped_rising(tmp_path: Path) -> None:
    values = iter([0.1, 0.3, 0.2, 0.25, 0.9])
    settings = replace(SETTINGS, epochs=5, patience=2)
    stopping = task(tmp_path, evaluate=lambda made: {"map50": next(values)})

    rows = train(network(), stopping, settings, device="cpu").rows

    assert [row["map50"] for row in rows] == [0.1, 0.3, 0.2, 0.25]
    assert train(network(), stopping, settings, device="cpu").rows == rows  # it is over, also when asked again


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated")  # by torch's own compiler
def test_a_compiled_network_learns_the_same(tmp_path: Path) -> None:
    settings = replace(SETTINGS, epochs=1, learning_rate=0.1)
    steady = CFG.replace("probability=.2", "probability=0")
    plain, compiled = (
        train(network(steady), task(tmp_path / str(way)), replace(settings, compile=way), device="cpu").rows
        for way in (False, True)
    )

    assert compiled[0]["loss"] == pytest.approx(plain[0]["loss"], rel=1e-4)


@pytest.mark.parametrize("changes", [{"sync_batch_norm": True}, {"precision": "16-mixed"}])
def test_what_a_cpu_cannot_do_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=r"(sync_batch_norm|16-mixed) needs .*, found cpu"):
        train(network(), task(tmp_path), replace(SETTINGS, **changes), device="cpu")


@pytest.mark.gpu
def test_the_gradient_scaler_goes_on_where_it_was(tmp_path: Path) -> None:
    settings = replace(SETTINGS, precision="16-mixed", epochs=2)
    with pytest.raises(Stopped):
        train(network(), task(tmp_path), settings, device="cuda", hooks=Hooks(on_batch=stop_at(1, 2)))
    scaler = load_state_file(tmp_path / "state.safetensors").scaler

    train(network(), task(tmp_path), settings, device="cuda")

    assert scaler["_growth_tracker"] == 5
    assert load_state_file(tmp_path / "state.safetensors").scaler["_growth_tracker"] == 10


def test_synchronised_batch_norms_share_the_tensors_of_the_network() -> None:
    original = network()

    converted = with_synchronised_norms(original)

    assert sum(isinstance(module, nn.SyncBatchNorm) for module in converted.modules()) == 2
    assert not any(isinstance(module, nn.SyncBatchNorm) for module in original.modules())
    own = dict(original.named_parameters()) | dict(original.named_buffers())
    theirs = dict(converted.named_parameters()) | dict(converted.named_buffers())
    assert all(theirs[name] is tensor for name, tensor in own.items())


def test_hooks_see_every_step_and_add_columns(tmp_path: Path) -> None:
    steps: list[tuple[int, float]] = []
    batches_done: list[tuple[int, int, int]] = []
    hooks = Hooks(
        after_step=lambda done, rate: steps.append((done, rate)),
        after_epoch=lambda: {"extra": 7.0},
        on_batch=lambda epoch, done, count: batches_done.append((epoch, done, count)),
    )

    rows = train(network(), task(tmp_path), replace(SETTINGS, epochs=1), device="cpu", hooks=hooks).rows

    assert [done for done, _ in steps] == [1, 2, 3, 4, 5]
    assert min(rate for _, rate in steps) > 0
    assert batches_done == [(0, done, 5) for done in range(1, 6)]
    assert rows[0]["extra"] == 7.0


def test_what_a_hook_does_to_the_average_is_what_training_gives(tmp_path: Path) -> None:
    def empty(made: Network, done: int) -> None:
        assert done == 5
        with torch.no_grad():
            made.get_parameter("000_convolutional.norm.weight").zero_()

    trained = train(network(), task(tmp_path), replace(SETTINGS, epochs=1), device="cpu", hooks=Hooks(on_average=empty))

    assert not trained.network.get_parameter("000_convolutional.norm.weight").any()


def test_a_hook_measures_the_average_and_hears_every_row_also_when_training_goes_on(tmp_path: Path) -> None:
    heard: list[list[float]] = []
    hooks = Hooks(
        measure=lambda made: {"gammas": float(made.get_parameter("000_convolutional.norm.weight").detach().sum())},
        on_rows=lambda rows: heard.append([row["gammas"] for row in rows]),
    )

    first = train(network(), task(tmp_path), SETTINGS, device="cpu", hooks=hooks)
    train(network(), task(tmp_path), SETTINGS, device="cpu", hooks=hooks)  # it is over: nothing is trained again

    sums = [row["gammas"] for row in first.rows]
    assert sums[-1] == float(first.network.get_parameter("000_convolutional.norm.weight").detach().sum())
    assert heard == [sums[: count + 1] for count in range(len(sums))] + [sums]
