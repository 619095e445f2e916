"""The training loop: knows networks, batches and losses, nothing of data formats or compression."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import seed_everything
from torch import Tensor, nn

from yoloslim.engine.allocator import keep_large_blocks
from yoloslim.engine.optimizer import MovingAverage, learning_rate, load_state, make_optimizer
from yoloslim.engine.processes import make_fabric, started_processes, with_synchronised_norms
from yoloslim.engine.records import write_results, write_tensorboard
from yoloslim.engine.settings import TrainSettings
from yoloslim.engine.state import (
    STATE,
    TrainState,
    check_identity,
    check_state,
    load_state_file,
    optimizer_tensors,
    restore_optimizer,
    save_state,
)
from yoloslim.engine.task import Batch, Hooks, Row, Task, Trained
from yoloslim.errors import RecipeError, is_out_of_memory
from yoloslim.graph.frozen import matching_nodes, stops_of
from yoloslim.nn.freeze import freeze
from yoloslim.nn.network import Network
from yoloslim.nn.probed import ProbedNetwork

_TERMS = ("loss", "box", "objectness", "classes")
_NAMED = 4  # pictures of a batch that a message names


def train(
    network: Network, task: Task, settings: TrainSettings, *, device: str = "auto", hooks: Hooks | None = None
) -> Trained:
    """Trains a network in place and gives its average; goes on from ``state.safetensors`` if the folder has one.

    After every epoch the folder holds the whole state, ``last`` and ``best`` checkpoints, the results and plots.
    Where torchrun started several processes, each trains on its own batches; the first one measures and writes.

    Raises:
        RecipeError: the loss is not finite, there is not enough memory, a setting cannot be honoured, or the folder
            holds the state of another training.
        CfgError: ``stopbackward`` leaves no layer that learns.
        WeightsError: the state is damaged.
    """
    return _Loop(network, task, settings, device, hooks or Hooks()).run()


class _Loop:
    def __init__(self, network: Network, task: Task, settings: TrainSettings, device: str, hooks: Hooks) -> None:
        keep_large_blocks()
        self.task, self.settings, self.hooks = task, settings, hooks
        self.processes = started_processes()
        self.fabric = make_fabric(settings, device, self.processes)
        seed_everything(settings.seed + self.processes.rank, verbose=False)  # of dropout; each process its own
        self.network = network.to(self.fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.frozen = matching_nodes(network.graph, settings.freeze)
        self.learner = self._probed(self.network)
        self.optimizer = make_optimizer(self.learner, settings)
        self.module = with_synchronised_norms(self.network) if settings.sync_batch_norm else self.network
        runs = self._probed(self.module)
        self.model: Any
        self.model, self.stepper = self.fabric.setup(
            torch.compile(runs) if settings.compile else runs,  # type: ignore[arg-type]
            self.optimizer,
        )
        self.average = MovingAverage(self.network, settings.ema)
        self.averaged = copy.deepcopy(self.network)
        self.epoch, self.batch, self.step = 0, 0, 0  # done; batches of the epoch that has begun
        self.sums = dict.fromkeys(_TERMS, 0.0)
        self.stops = stops_of(network.graph)
        self.rows: list[Row] = []

    def run(self) -> Trained:
        state = self.task.folder / STATE
        if state.exists():
            self._restore(load_state_file(state), state)
        while not self._is_over():
            self._run_epoch()
        self._average()
        return Trained(self.averaged.cpu().eval(), tuple(self.rows))

    def _probed(self, network: Network) -> nn.Module:
        """What runs in training: the network, with the probes of the task where it has any."""
        if self.task.extra is None:
            return network
        return ProbedNetwork(network, self.task.extra.probes).to(self.fabric.device)

    @property
    def best(self) -> float:
        """Best AP50 so far; -1 before the first."""
        return max((row["map50"] for row in self.rows if "map50" in row), default=-1.0)

    def _is_over(self) -> bool:
        if self.epoch >= self.settings.epochs:
            return True
        best = next((row["epoch"] for row in self.rows if row.get("map50") == self.best), self.epoch)
        return 0 < self.settings.patience <= self.epoch - best

    def _run_epoch(self) -> None:
        start = time.perf_counter()
        self.model.train()
        batches = iter(self.task.batches(self.epoch, self.batch))
        while group := list(islice(batches, self.settings.batches_per_step)):
            self._step(group)
            if self.settings.save_every and self.step % self.settings.save_every == 0:
                self._save()
        self.epoch, self.batch = self.epoch + 1, 0
        row = {"epoch": self.epoch, "rate": self._rate(self.step - 1), **self._means(), **self.hooks.after_epoch()}
        self._average()
        row.update(self._measured())
        row.update(self._figures())
        row["seconds"] = round(time.perf_counter() - start, 2)
        self._write(row)
        self.hooks.on_rows(self.rows)
        self.hooks.on_row(row)

    def _step(self, group: Sequence[Batch]) -> None:
        """Moves the optimiser once, along the mean gradient of the batches."""
        self._freeze()
        rate = self._rate(self.step)
        for settings in self.optimizer.param_groups:
            settings["lr"] = rate
        for number, batch in enumerate(group, start=1):
            with self.fabric.no_backward_sync(self.model, enabled=number < len(group)), self._enough_memory(batch):
                self._add(self._backward(batch, len(group)))
            self.batch += 1
            self.hooks.on_batch(self.epoch, self.batch, self.task.batches_per_epoch)
        if self.settings.gradient_clip:
            clip = self.settings.gradient_clip
            self.fabric.clip_gradients(self.model, self.stepper, max_norm=clip, error_if_nonfinite=False)
        self.stepper.step()
        self.stepper.zero_grad(set_to_none=True)
        self.step += 1
        self.hooks.after_step(self.step, rate * self.settings.step_size)
        self.average.update(self.network)

    def _backward(self, batch: Batch, parts: int) -> Mapping[str, Tensor]:
        """Adds the gradients of one of ``parts`` batches, and gives its loss and the terms of it."""
        images = batch.images.to(self.fabric.device, memory_format=torch.channels_last).float() / 255
        terms = self._terms(images, batch)
        self._check(terms)
        self.fabric.backward(terms["loss"] / parts)
        return terms

    def _terms(self, images: Tensor, batch: Batch) -> Mapping[str, Tensor]:
        progress, extra = self.step / self._steps, self.task.extra
        with self.fabric.autocast():
            found = self.model(images)
        head_maps, seen = (found, {}) if extra is None else found
        loss = self.task.loss(head_maps, batch, progress)
        more = {} if extra is None else extra(images, batch.targets.to(images.device), head_maps, seen)
        total = sum(more.values(), start=loss.total)
        return {"loss": total, "box": loss.box, "objectness": loss.objectness, "classes": loss.classes, **more}

    def _add(self, terms: Mapping[str, Tensor]) -> None:
        for key, value in terms.items():
            self.sums[key] = self.sums.get(key, 0.0) + float(value.detach())

    def _means(self) -> Row:
        """Mean of each term over the epoch's batches and all processes; the sums begin anew."""
        sums = torch.tensor(list(self.sums.values()), dtype=torch.float64, device=self.fabric.device)
        mean = cast(Tensor, self.fabric.all_reduce(sums, reduce_op="mean"))
        keys = tuple(self.sums)
        self.sums = dict.fromkeys(keys, 0.0)
        return dict(zip(keys, (mean / self.task.batches_per_epoch).tolist(), strict=True))

    def _freeze(self) -> None:
        """Leaves alone the layers that the cfg or the settings exclude from this step."""
        if not self.stops and not self.frozen:
            return
        freeze(self.module, self.stops, self.step, self.frozen)
        if any(parameter.requires_grad for parameter in self.network.parameters()):
            return
        if self.stops:
            section = self.network.graph.nodes[self.stops[-1].layers - 1].section
            raise section.error("stopbackward leaves no layer that learns; remove it here", key="stopbackward")
        raise RecipeError(f"freeze: nothing is left to learn; {len(self.frozen)} nodes are frozen")

    def _average(self) -> None:
        self.average.copy_into(self.averaged)
        self.hooks.on_average(self.averaged, self.step)

    @property
    def _steps(self) -> int:
        """Of the whole training."""
        return self.settings.epochs * self.settings.steps_per_epoch(self.task.batches_per_epoch)

    def _rate(self, step: int) -> float:
        return learning_rate(step, self._steps, self.settings, self.processes.count)

    def _check(self, terms: Mapping[str, Tensor]) -> None:
        if math.isfinite(float(terms["loss"].detach())):
            return
        parts = ", ".join(f"{name} {float(value.detach()):.3g}" for name, value in terms.items() if name != "loss")
        raise self._stopped(f"the loss is not finite at {self._place()} ({parts}){self._pictures()}")

    def _stopped(self, what: str) -> RecipeError:
        last = self.task.folder / "last.safetensors"
        kept = f"{last} is the last good checkpoint; " if last.exists() else ""
        return RecipeError(f"{what}; {kept}lower train.learning_rate or start from sound weights")

    def _place(self) -> str:
        return f"epoch {self.epoch + 1}, step {self.step + 1}"

    def _pictures(self) -> str:
        names = list(self.task.names(self.epoch, self.batch))
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return f" on {', '.join(names[:_NAMED])}{more}" if names else ""

    @contextmanager
    def _enough_memory(self, batch: Batch) -> Iterator[None]:
        try:
            yield
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            size, fits = self.settings.batch, max(1, self.settings.batch // 2)
            height, width = batch.images.shape[2:]
            advice = f"batch={fits} with accumulate_to={size} learns much the same" if size > 1 else "lower the size"
            raise RecipeError(f"not enough memory for batch={size} at {width}x{height}; {advice}") from error

    def _measured(self) -> Mapping[str, float]:
        columns = self.hooks.measure(self.averaged.eval()) if self.fabric.is_global_zero else {}
        return self.fabric.broadcast(dict(columns))

    def _figures(self) -> Mapping[str, float]:
        last = self.epoch == self.settings.epochs
        if self.task.evaluate is None or not (last or self.epoch % self.settings.eval_every == 0):
            return {}
        figures = self.task.evaluate(self.averaged.eval()) if self.fabric.is_global_zero else {}
        return self.fabric.broadcast(dict(figures))

    def _write(self, row: Row) -> None:
        """The state comes last: when it is there, everything else of its epoch is."""
        is_best = row.get("map50", -1.0) > self.best
        self.rows.append(row)
        if self.fabric.is_global_zero:
            if not all(bool(torch.isfinite(tensor).all()) for tensor in self.averaged.state_dict().values()):
                raise self._stopped(f"weights are not finite after {self._place()}")
            self.task.write(self.averaged, self.task.folder / "last.safetensors")
            if is_best:
                self.task.write(self.averaged, self.task.folder / "best.safetensors")
            write_results(self.rows, self.task.folder)
            write_tensorboard(row, self.epoch, self.task.folder)
        self._save()

    def _probes(self) -> nn.Module:
        """The modules that learn beside the network."""
        return self.learner.probes if isinstance(self.learner, ProbedNetwork) else nn.ModuleDict()

    def _save(self) -> None:
        """Writes all that another run needs to go on from here."""
        randoms = cast(Tensor, self.fabric.all_gather(torch.get_rng_state().to(self.fabric.device)))
        if not self.fabric.is_global_zero:
            return
        tensors = {f"model/{name}": tensor for name, tensor in self.network.state_dict().items()}
        tensors |= {f"ema/{name}": tensor for name, tensor in self.average.tensors.items()}
        tensors |= {f"probes/{name}": tensor for name, tensor in self._probes().state_dict().items()}
        tensors |= optimizer_tensors(self.optimizer, self.learner)
        tensors["rng/torch"] = randoms.cpu().reshape(self.processes.count, -1)
        state = TrainState(
            tensors=tensors,
            epoch=self.epoch,
            batch=self.batch,
            step=self.step,
            ema_steps=self.average.steps,
            sums=self.sums,
            rows=tuple(self.rows),
            scaler=self.fabric.strategy.precision.state_dict(),
            identity=self.task.identity,
        )
        save_state(self.task.folder / STATE, state)

    def _restore(self, state: TrainState, path: Path) -> None:
        check_identity(state, self.task.identity, self.task.folder)
        check_state(state, self.network, self._probes(), self.learner, path)
        load_state(self.network, _part(state.tensors, "model/"))
        load_state(self._probes(), _part(state.tensors, "probes/"))
        self.average.tensors = {k: v.to(self.fabric.device) for k, v in _part(state.tensors, "ema/").items()}
        restore_optimizer(self.optimizer, self.learner, state.tensors)
        self.fabric.strategy.precision.load_state_dict(dict(state.scaler))
        randoms = state.tensors["rng/torch"]
        torch.set_rng_state(randoms[self.processes.rank % len(randoms)].contiguous())
        self.epoch, self.batch, self.step, self.average.steps = state.epoch, state.batch, state.step, state.ema_steps
        self.sums = dict(state.sums)
        self.rows = [dict(row) for row in state.rows]
        self.hooks.on_rows(self.rows)


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
