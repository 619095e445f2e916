"""The training loop: knows networks, batches and losses, nothing of data formats or compression."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from lightning_fabric import Fabric, seed_everything
from torch import Tensor

from yoloslim.engine.allocator import keep_large_blocks
from yoloslim.engine.optimizer import MovingAverage, learning_rate, load_state, make_optimizer
from yoloslim.engine.records import write_results, write_tensorboard
from yoloslim.engine.settings import TrainSettings
from yoloslim.engine.state import TrainState, load_state_file, optimizer_tensors, restore_optimizer, save_state
from yoloslim.errors import RecipeError
from yoloslim.graph.frozen import stops_of
from yoloslim.losses.detection import LossTerms
from yoloslim.nn.freeze import freeze
from yoloslim.nn.network import Network

Row = dict[str, float]


class Batch(Protocol):
    """Pictures with their objects."""

    @property
    def images(self) -> Tensor:
        """Shape (B, 3, H, W), uint8, RGB."""

    @property
    def targets(self) -> Tensor:
        """Shape (M, 6): picture in the batch, class, centre x, centre y, width, height as shares of the input."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is trained.

    Attributes:
        batches: gives the batches of an epoch, counted from 0; the same ones whenever it is asked.
        batches_per_epoch: how many these are.
        loss: from head maps and targets.
        evaluate: figures of a network on validation pictures, ``map50`` among them; None for none.
        write: writes a network as a checkpoint.
        folder: the run's.
        identity: of settings, network and data; a state of another identity is not continued.
    """

    batches: Callable[[int], Iterable[Batch]]
    batches_per_epoch: int
    loss: Callable[[Sequence[Tensor], Tensor], LossTerms]
    evaluate: Callable[[Network], Mapping[str, float]] | None
    write: Callable[[Network, Path], None]
    folder: Path
    identity: str = ""


@dataclass(frozen=True, slots=True)
class Hooks:
    """Moments at which others join in.

    Attributes:
        after_step: called after the optimiser moved, with the steps done and the effective rate of this one, learning
            rate / (1 - momentum).
        on_average: called with the averaged network before it is measured and written, and with the steps done.
        after_epoch: gives more columns for the epoch's row.
        on_batch: called with (epochs done, batches of this epoch done, batches of an epoch).
        on_row: called with each finished epoch's row.
    """

    after_step: Callable[[int, float], None] = lambda done, rate: None
    on_average: Callable[[Network, int], None] = lambda network, done: None
    after_epoch: Callable[[], Mapping[str, float]] = dict
    on_batch: Callable[[int, int, int], None] = lambda epoch, done, count: None
    on_row: Callable[[Row], None] = lambda row: None


@dataclass(frozen=True, slots=True)
class Trained:
    """What training gives.

    Attributes:
        network: with the averaged weights, in evaluation mode, on the CPU.
        rows: figures of every epoch.
    """

    network: Network
    rows: tuple[Row, ...]


def train(
    network: Network, task: Task, settings: TrainSettings, *, device: str = "auto", hooks: Hooks | None = None
) -> Trained:
    """Trains a network in place and gives its average; goes on from ``state.safetensors`` if the folder has one.

    After every epoch the folder holds the whole state, ``last`` and ``best`` checkpoints, the results and plots.

    Raises:
        RecipeError: the loss is not finite, or the folder holds the state of another training.
        CfgError: ``stopbackward`` leaves no layer that learns.
        WeightsError: the state is damaged.
    """
    return _Loop(network, task, settings, device, hooks or Hooks()).run()


class _Loop:
    def __init__(self, network: Network, task: Task, settings: TrainSettings, device: str, hooks: Hooks) -> None:
        keep_large_blocks()
        seed_everything(settings.seed, verbose=False)
        self.task, self.settings, self.hooks = task, settings, hooks
        accelerator, _, index = device.partition(":")
        self.fabric = Fabric(
            accelerator=accelerator, devices=[int(index)] if index else 1, precision=settings.precision
        )
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = make_optimizer(network, settings)
        self.model: Any
        self.model, self.stepper = self.fabric.setup(self.network, self.optimizer)
        self.average = MovingAverage(self.network, settings.ema)
        self.averaged = copy.deepcopy(self.network)
        self.stops = stops_of(network.graph)
        self.step, self.epoch, self.best = 0, 0, -1.0
        self.rows: list[Row] = []

    def run(self) -> Trained:
        state = self.task.folder / "state.safetensors"
        if state.exists():
            self._restore(load_state_file(state))
        while self.epoch < self.settings.epochs:
            self._run_epoch()
        self._average()
        return Trained(self.averaged.cpu().eval(), tuple(self.rows))

    def _run_epoch(self) -> None:
        start = time.perf_counter()
        sums = dict.fromkeys(("loss", "box", "objectness", "classes"), 0.0)
        self.model.train()
        for done, batch in enumerate(self.task.batches(self.epoch), start=1):
            terms = self._step(batch)
            for key, value in zip(sums, (terms.total, terms.box, terms.objectness, terms.classes), strict=True):
                sums[key] += float(value.detach())
            self.hooks.on_batch(self.epoch, done, self.task.batches_per_epoch)
        self.epoch += 1
        means = {key: value / self.task.batches_per_epoch for key, value in sums.items()}
        row = {"epoch": self.epoch, "rate": self._rate(self.step - 1), **means, **self.hooks.after_epoch()}
        self._average()
        row.update(self._figures())
        row["seconds"] = round(time.perf_counter() - start, 2)
        self.rows.append(row)
        self._write(row)
        self.hooks.on_row(row)

    def _step(self, batch: Batch) -> LossTerms:
        self._freeze()
        rate = self._rate(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        images = batch.images.to(self.fabric.device, memory_format=torch.channels_last).float() / 255
        with self.fabric.autocast():
            head_maps = self.model(images)
        terms = self.task.loss(head_maps, batch.targets.to(self.fabric.device))
        self._check(terms)
        self.fabric.backward(terms.total)
        if self.settings.gradient_clip:
            clip = self.settings.gradient_clip
            self.fabric.clip_gradients(self.model, self.stepper, max_norm=clip, error_if_nonfinite=False)
        self.stepper.step()
        self.stepper.zero_grad(set_to_none=True)
        self.step += 1
        self.hooks.after_step(self.step, rate / (1 - self.settings.momentum))
        self.average.update(self.network)
        return terms

    def _freeze(self) -> None:
        """Leaves alone the layers that the cfg excludes from this step."""
        if not self.stops:
            return
        freeze(self.network, self.stops, self.step)
        if not any(parameter.requires_grad for parameter in self.network.parameters()):
            section = self.network.graph.nodes[self.stops[-1].layers - 1].section
            raise section.error("stopbackward leaves no layer that learns; remove it here", key="stopbackward")

    def _average(self) -> None:
        self.average.copy_into(self.averaged)
        self.hooks.on_average(self.averaged, self.step)

    def _rate(self, step: int) -> float:
        return learning_rate(step, self.settings.epochs * self.task.batches_per_epoch, self.settings)

    def _check(self, terms: LossTerms) -> None:
        if not math.isfinite(float(terms.total.detach())):
            values = {"box": terms.box, "objectness": terms.objectness, "classes": terms.classes}
            parts = ", ".join(f"{name} {float(value.detach()):.3g}" for name, value in values.items())
            place = f"epoch {self.epoch + 1}, step {self.step + 1}"
            text = f"the loss is not finite at {place} ({parts}); lower train.learning_rate or start from sound weights"
            raise RecipeError(text)

    def _figures(self) -> Mapping[str, float]:
        last = self.epoch == self.settings.epochs
        if self.task.evaluate is None or not (last or self.epoch % self.settings.eval_every == 0):
            return {}
        return self.task.evaluate(self.averaged.eval())

    def _write(self, row: Row) -> None:
        """The state comes last: when it is there, everything else of its epoch is."""
        self.task.write(self.averaged, self.task.folder / "last.safetensors")
        if row.get("map50", -1.0) > self.best:
            self.best = row["map50"]
            self.task.write(self.averaged, self.task.folder / "best.safetensors")
        write_results(self.rows, self.task.folder)
        write_tensorboard(row, self.epoch, self.task.folder)
        save_state(self.task.folder / "state.safetensors", self._state())

    def _state(self) -> TrainState:
        tensors = {f"model/{name}": tensor for name, tensor in self.network.state_dict().items()}
        tensors |= {f"ema/{name}": tensor for name, tensor in self.average.tensors.items()}
        tensors |= optimizer_tensors(self.optimizer, self.network)
        tensors["rng/torch"] = torch.get_rng_state()
        numbers = (self.epoch, self.step, self.average.steps, self.best)
        return TrainState(tensors, *numbers, tuple(self.rows), self.task.identity)

    def _restore(self, state: TrainState) -> None:
        if state.identity != self.task.identity:
            text = "holds the state of another training (settings, network or data changed)"
            raise RecipeError(f"{self.task.folder}: {text}; choose another folder, or remove it to start anew")
        load_state(self.network, _part(state.tensors, "model/"))
        self.average.tensors = {k: v.to(self.fabric.device) for k, v in _part(state.tensors, "ema/").items()}
        restore_optimizer(self.optimizer, self.network, state.tensors)
        torch.set_rng_state(state.tensors["rng/torch"])
        self.epoch, self.step, self.average.steps, self.best = state.epoch, state.step, state.ema_steps, state.best
        self.rows = [dict(row) for row in state.rows]


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
