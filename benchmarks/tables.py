"""The tables that ``quality.py`` knows: which commands each cell runs and which of their figures it shows."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Report = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shared:
    """What several cells start from.

    Attributes:
        name: also its folder's.
        commands: ``yoloslim`` commands, run once, in that folder, which stays.
    """

    name: str
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One measurement.

    Attributes:
        name: also its file's name; cells of one name show figures of one run.
        commands: ``yoloslim`` commands, run one after the other in an empty folder; the last one's report counts.
        keys: what is stored of that report.
        text: what the table shows of it.
        shared: what must be there first; its folder is ``{shared}`` in the commands.
    """

    name: str
    row: str
    column: str
    commands: tuple[str, ...]
    keys: tuple[str, ...]
    text: Callable[[Report], str]
    shared: Shared | None = None


Reports = Mapping[tuple[str, str], Report]
"""What has been run, by row and column."""


@dataclass(frozen=True, slots=True)
class Table:
    """Cells in rows and columns.

    Attributes:
        corner: heading of the first column.
        summary: more columns, each a text made of a row's name and all reports.
    """

    name: str
    title: str
    corner: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[Cell, ...]
    summary: Mapping[str, Callable[[str, Reports], str]] = field(default_factory=dict)

    def at(self, row: str, column: str) -> Cell:
        """Gives one cell."""
        return next(cell for cell in self.cells if (cell.row, cell.column) == (row, column))


WEIGHTS = "${YOLOSLIM_TEST_DATA}/weights"
PRUNED = ("yolov3-tiny", "yolo-fastest-1.1", "yolo-fastest-1.1-xl", "MobileNetV2-YOLOv3-Nano-coco")
PERCENTS = (5, 10, 20)


def model_options(network: str) -> str:
    """Gives --cfg and --weights; yolov3-tiny by its zoo name, whose masks fit the published weights."""
    cfg = network if network == "yolov3-tiny" else f"{WEIGHTS}/{network}.cfg"
    return f"--cfg {cfg} --weights {WEIGHTS}/{network}.weights --data examples/coco128.yaml"


def dense_cell(network: str) -> Cell:
    """Measures a network as published."""
    command = f"yoloslim eval {model_options(network)}"
    return Cell(f"{network}-dense", network, "dense", (command,), ("map50", "map"), lambda r: f"{r['map50']:.3f}")


def pruned_cell(network: str, percent: int, recalibrated: bool) -> Cell:
    """Measures a network after ``normal`` pruning, with or without batch-norm measured anew."""
    command = f"yoloslim prune {model_options(network)} --method normal --percent {percent / 100} --out pruned"
    column, suffix = f"{percent} %", ""
    if recalibrated:
        command, column, suffix = f"{command} --recalibrate 128", f"{column}, recalibrated", "-recalibrated"

    def text(report: Report) -> str:
        change = report["params"]["after"] / report["params"]["before"] - 1
        return f"{report['map50']['after']:.3f} ({100 * change:.0f} % parameters)"

    keys = ("method", "params", "macs", "map50", "max_abs_diff")
    return Cell(f"{network}-{percent}{suffix}", network, column, (command,), keys, text)


def prune_coco128() -> Table:
    """COCO networks pruned without sparse training or fine-tuning."""
    cells = [dense_cell(network) for network in PRUNED]
    cells += [pruned_cell(n, p, again) for n in PRUNED for p in PERCENTS for again in (False, True)]
    columns = tuple(dict.fromkeys(cell.column for cell in cells))
    title = "AP50 on coco128 val2017 after `normal` pruning, no sparse training, no fine-tuning"
    return Table("prune-coco128", title, "network", PRUNED, columns, tuple(cells))


JOURNEYS = {"hand_fingers5, one class, 160": "hand", "bccd, 320": "bccd"}
STAGES = ("dense", "sparse", "pruned", "finetuned", "exported")


def stage_cell(row: str, stage: str) -> Cell:
    """Shows one stage of a recipe of the examples."""
    recipe = JOURNEYS[row]

    def text(report: Report) -> str:
        stages = {found["name"]: found for found in report["stages"]}
        found, share = stages[stage], stages[stage]["params"] / stages["dense"]["params"]
        kept = "" if stage in ("dense", "sparse") else f" ({100 * share:.0f} % of the parameters)"
        return f"{found['map50']:.3f}{kept}"

    return Cell(recipe, row, stage, (f"yoloslim compress examples/{recipe}.toml --out run",), ("stages",), text)


def first() -> Table:
    """The whole road on two small data sets."""
    cells = [stage_cell(row, stage) for row in JOURNEYS for stage in STAGES]
    title = "AP50 on the test pictures, stage by stage, YOLOv3-tiny from its COCO weights"
    return Table("first", title, "data set, input", tuple(JOURNEYS), STAGES, tuple(cells))


TAUGHT = {
    "alone": "",
    "kd1": "--distill kd1",
    "kd2": "--distill kd2",
    "kd3": "--distill kd3",
    "kd4": "--distill kd4",
    "kd5": "--distill kd5",
    "kd5, originals' scale": "--distill kd5 --distill-scale originals",
    "binary": "--distill binary",
    "localisation": "--distill localisation",
    "channels": "--distill channels",
    "masked": "--distill masked",
    "auto": "--distill auto",
}
STARTS = {"teacher": "dense", "pruned": "pruned"}
SEEDS = (0, 1, 2)


def taught_cell(row: str, seed: int, stem: str, data: str) -> Cell:
    """Measures a teacher, its pruned student, or what a training of 10 epochs makes of the student."""
    recipe = f"yoloslim compress benchmarks/recipes/{stem}.toml --seed {seed} --out run"
    shared = Shared(f"{stem}-{seed}", (recipe,))
    teacher, student = (f"{{shared}}/run/{stage}/{stem}.safetensors" for stage in ("dense", "pruned"))
    commands: tuple[str, ...] = ()
    measured = f"{{shared}}/run/{STARTS.get(row)}/{stem}.safetensors"
    if row in TAUGHT:
        options = f"--teacher-weights {teacher} {TAUGHT[row]}" if TAUGHT[row] else ""
        start = f"--recipe benchmarks/recipes/{stem}-student.toml --weights {student} --data {data} --seed {seed}"
        commands, measured = (f"yoloslim train {start} {options} --out student",), "student/last.safetensors"
    commands = (*commands, f"yoloslim eval --weights {measured} --data {data}")
    name = f"{row.replace(', ', '-').replace(' ', '-')}-{seed}".replace("'", "")
    return Cell(name, row, f"seed {seed}", commands, ("map50", "map"), lambda r: f"{r['map50']:.3f}", shared)


def of_seeds(row: str, reports: Reports) -> list[float] | None:
    """Gives AP50 of every seed of a row; None where one has not been run."""
    found = [reports.get((row, f"seed {seed}")) for seed in SEEDS]
    return None if any(report is None for report in found) else [report["map50"] for report in found if report]


def mean_and_spread(row: str, reports: Reports) -> str:
    """Shows the mean over the seeds and their standard deviation."""
    values = of_seeds(row, reports)
    return "not run" if values is None else f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"


def gap_closed(row: str, reports: Reports) -> str:
    """Shows how much of what the teacher is ahead of the student trained alone a method makes up for."""
    own, alone, teacher = (of_seeds(name, reports) for name in (row, "alone", "teacher"))
    if row in ("alone", *STARTS) or own is None or alone is None or teacher is None:
        return ""
    gained = statistics.mean(own) - statistics.mean(alone)
    return f"{100 * gained / (statistics.mean(teacher) - statistics.mean(alone)):.0f} %"


def distillation(name: str, title: str, stem: str, data: str, methods: tuple[str, ...]) -> Table:
    """A pruned YOLOv3-tiny trained alone and with each method."""
    rows = (*STARTS, *methods)
    cells = tuple(taught_cell(row, seed, stem, data) for row in rows for seed in SEEDS)
    columns = tuple(f"seed {seed}" for seed in SEEDS)
    summary = {"mean ± spread": mean_and_spread, "of the gap closed": gap_closed}
    return Table(name, f"AP50 of a pruned YOLOv3-tiny, {title}, 10 epochs", "trained", rows, columns, cells, summary)


FINGERS = distillation("distillation", "hand_fingers5 at 160", "fingers", "examples/hand_fingers5.yaml", tuple(TAUGHT))
CELLS = distillation("distillation-bccd", "bccd at 320", "cells", "examples/bccd.yaml", ("alone", "binary", "auto"))

TABLES: Mapping[str, Table] = {table.name: table for table in (prune_coco128(), first(), FINGERS, CELLS)}
