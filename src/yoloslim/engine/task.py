"""What the training loop is given, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Tensor

from yoloslim.losses.detection import LossTerms
from yoloslim.nn.network import Network
from yoloslim.nn.probed import Probe

Row = dict[str, float]
"""Figures of an epoch by column."""


class Batch(Protocol):
    """Pictures with their objects."""

    @property
    def images(self) -> Tensor:
        """Shape (B, C, H, W), uint8, RGB."""

    @property
    def targets(self) -> Tensor:
        """Shape (M, 6): picture in the batch, class, centre x, centre y, width, height as shares of the input."""

    @property
    def unlabelled(self) -> Tensor:
        """Shape (B, classes), bool: classes that nobody looked for in that picture."""


class ExtraLoss(Protocol):
    """More terms of the loss, which look inside the network."""

    @property
    def probes(self) -> Mapping[str, Probe]:
        """By name, where it looks; modules that learn are kept in the state, and are no part of the result."""

    def __call__(
        self, images: Tensor, targets: Tensor, head_maps: Sequence[Tensor], seen: Mapping[str, Tensor], /
    ) -> Mapping[str, Tensor]:
        """Gives weighted terms, scalars, by the column of the results that shows them.

        Args:
            images: shape (B, C, H, W), RGB in 0..1, as the network saw them.
            targets: shape (M, 6), as of `Batch`.
            seen: what the probes give, by their names.
        """


@dataclass(frozen=True, slots=True)
class Task:
    """What is trained.

    Attributes:
        batches: gives the batches of an epoch, counted from 0, from one of them on; the same ones whenever it is asked.
        batches_per_epoch: how many there are from the first.
        loss: from the head maps of a batch, the batch, whose pictures may be of another size each time, and the share
            of the training that is done, 0..1.
        evaluate: figures of a network on validation pictures, ``map50`` among them; None for none.
        write: writes a network as a checkpoint.
        folder: the run's.
        identity: of settings, network and data; a state of another identity is not continued.
        names: the pictures of one batch of an epoch, both counted from 0, for messages.
        extra: more terms of the loss; None for none.
    """

    batches: Callable[[int, int], Iterable[Batch]]
    batches_per_epoch: int
    loss: Callable[[Sequence[Tensor], Batch, float], LossTerms]
    evaluate: Callable[[Network], Mapping[str, float]] | None
    write: Callable[[Network, Path], None]
    folder: Path
    identity: str = ""
    names: Callable[[int, int], Sequence[str]] = lambda epoch, batch: ()
    extra: ExtraLoss | None = None


@dataclass(frozen=True, slots=True)
class Hooks:
    """Moments at which others join in.

    Attributes:
        after_step: called after the optimiser moved, with the steps done and the effective rate of this one: how far
            a gradient that stays the same moves a weight.
        on_average: called with the averaged network before it is measured and written, and with the steps done.
        after_epoch: gives more columns for the epoch's row.
        measure: gives more columns still, from the averaged network; asked in the first process alone.
        on_rows: called in every process with the rows of all epochs done, after each epoch and when a training goes on:
            what others need to remember between epochs is what these rows tell.
        on_batch: called with (epochs done, batches of this epoch done, batches of an epoch).
        on_row: called with each finished epoch's row.
    """

    after_step: Callable[[int, float], None] = lambda done, rate: None
    on_average: Callable[[Network, int], None] = lambda network, done: None
    after_epoch: Callable[[], Mapping[str, float]] = dict
    measure: Callable[[Network], Mapping[str, float]] = lambda network: {}
    on_rows: Callable[[Sequence[Row]], None] = lambda rows: None
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
