"""What commands show while a network trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from yoloslim.cli.session import Session

if TYPE_CHECKING:
    from yoloslim.engine.settings import TrainSettings
    from yoloslim.engine.task import Hooks

Bar = Callable[[str, int, int], None]
"""Takes a title, the number of things done and of all."""


def training_hooks(session: Session, name: str, settings: TrainSettings, bar: Bar) -> Hooks:
    """Gives hooks that print a line an epoch and move a bar over the batches of all epochs."""
    from yoloslim.engine.task import Hooks

    def on_batch(epoch: int, done: int, count: int) -> None:
        bar(name, epoch * count + done, settings.epochs * count)

    return Hooks(on_row=_row_printer(session, name, settings.epochs), on_batch=on_batch)


def _row_printer(session: Session, name: str, epochs: int) -> Callable[[dict[str, float]], None]:
    def show(row: dict[str, float]) -> None:
        left = row["seconds"] * (epochs - row["epoch"])
        accuracy = f"  AP50 {row['map50']:.4f}" if "map50" in row else ""
        small = f"  small gammas {100 * row['small_gammas']:.0f} %" if "small_gammas" in row else ""
        text = f"  {name} {row['epoch']:.0f}/{epochs}  loss {row['loss']:.3f}{accuracy}{small}"
        session.print(f"{text}  {row['seconds']:.0f} s, {left / 60:.0f} min left")
        if "converged" in row:
            session.print(_prunable(row))

    return show


def _prunable(row: dict[str, float]) -> str:
    """What could be pruned after an epoch of sparse training."""
    from yoloslim.recipes.sparse_progress import LOSSES

    lanes, params = (
        "/".join(f"{100 * row[f'{key}_{points}']:.0f}" for points in LOSSES) for key in ("prunable", "prunable_params")
    )
    text = f"    prunable {lanes} % of channels, {params} % of parameters at {'/'.join(LOSSES)} points of AP50"
    text += f", strength {row['strength']:.3g}" if "strength" in row else ""
    return f"{text}\n    converged: what is prunable has stopped growing" if row["converged"] else text
