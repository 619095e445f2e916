"""The picture of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from yoloslim.files import write_atomically

_SURFACE, _INK, _QUIET, _GRID = "#fcfcfb", "#0b0b0b", "#52514e", "#e4e3df"
_COLOURS = ("#2a78d6", "#eb6834", "#1baf7a", "#4a3aa7", "#e34948")


def plot_sweep(
    path: Path,
    percents: Sequence[float],
    map50: Sequence[float],
    costs: Mapping[str, Sequence[float]],
    *,
    knee: float | None,
    cliff: tuple[float, float],
) -> None:
    """Writes a PNG: AP50 over the percent above, what remains of each cost below.

    Args:
        percents: of the points, rising.
        map50: of each point, 0..1.
        costs: by name, what each point leaves of the whole network's, 0..1.
        knee: percent of the point that is suggested.
        cliff: percents between which AP50 falls most.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6), dpi=120, layout="constrained", facecolor=_SURFACE)
    above, below = figure.subplots(2, 1, sharex=True)
    for axes in (above, below):
        axes.set_facecolor(_SURFACE)
        axes.grid(color=_GRID, linewidth=0.8)
        axes.tick_params(colors=_QUIET, length=0)
        axes.spines[:].set_visible(False)
        axes.axvspan(*cliff, color=_COLOURS[4], alpha=0.15, linewidth=0)
    above.plot(percents, map50, color=_COLOURS[0], marker="o", markersize=5, linewidth=2, clip_on=False)
    above.set_ylim(0, max(1e-3, 1.15 * max(map50)))
    above.set_ylabel("AP50, no fine-tuning", color=_INK)
    above.annotate("steepest fall", (cliff[0], 0), (-4, 6), textcoords="offset points", ha="right", color=_QUIET)
    if knee is not None:
        at = map50[list(percents).index(knee)]
        above.plot([knee], [at], marker="o", markersize=13, color=_INK, fillstyle="none", linewidth=0)
        above.annotate(f"knee at {knee:g}", (knee, at), (0, 12), textcoords="offset points", ha="center", color=_INK)
    for (name, values), colour in zip(costs.items(), _COLOURS, strict=False):
        below.plot(percents, values, color=colour, marker="o", markersize=4, linewidth=2, label=name)
    below.set_ylim(0, 1.05 * max(1.0, *(max(values) for values in costs.values())))
    below.set_ylabel("what remains", color=_INK)
    below.set_xlabel("percent: share of the removable lanes", color=_INK)
    below.legend(frameon=False, labelcolor=_INK)
    with write_atomically(path) as temporary:
        figure.savefig(temporary, format="png", facecolor=_SURFACE)
