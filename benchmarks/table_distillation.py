"""The tables ``distillation``: a pruned network trained alone, and by each method with its teacher."""

from __future__ import annotations

import statistics

from cells import BFLOAT16, RUNS, Cell, Reports, Table, hidden, map50

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


def start_cell(seed: int, stem: str) -> Cell:
    """Trains a teacher and prunes a student from it."""
    command = f"yoloslim compress benchmarks/recipes/{stem}.toml --seed {seed} {BFLOAT16} --out run"
    return hidden(f"{stem}-{seed}", command, keys=("stages",))


def taught_cell(row: str, seed: int, stem: str, data: str) -> Cell:
    """Measures a teacher, its pruned student, or what a training of 10 epochs makes of the student."""
    run = f"{RUNS}{stem}-{seed}/run"
    measured = f"{run}/{STARTS.get(row)}/{stem}.safetensors"
    commands: tuple[str, ...] = ()
    if row in TAUGHT:
        options = f"--teacher-weights {run}/dense/{stem}.safetensors {TAUGHT[row]}" if TAUGHT[row] else ""
        student = f"--recipe benchmarks/recipes/{stem}-student.toml --weights {run}/pruned/{stem}.safetensors"
        commands = (f"yoloslim train {student} --data {data} --seed {seed} {options} {BFLOAT16} --out student",)
        measured = "student/last.safetensors"
    commands = (*commands, f"yoloslim eval --weights {measured} --data {data}")
    name = f"{row.replace(', ', '-').replace(' ', '-')}-{seed}".replace("'", "")
    return Cell(name, row, f"seed {seed}", commands, ("map50", "map"), map50)


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
    starts = [start_cell(seed, stem) for seed in SEEDS]
    cells = (*starts, *(taught_cell(row, seed, stem, data) for row in rows for seed in SEEDS))
    columns = tuple(f"seed {seed}" for seed in SEEDS)
    summary = {"mean ± spread": mean_and_spread, "of the gap closed": gap_closed}
    return Table(name, f"AP50 of a pruned YOLOv3-tiny, {title}, 10 epochs", "trained", rows, columns, cells, summary)


FINGERS = distillation("distillation", "hand_fingers5 at 160", "fingers", "examples/hand_fingers5.yaml", tuple(TAUGHT))
CELLS = distillation("distillation-bccd", "bccd at 320", "cells", "examples/bccd.yaml", ("alone", "kd4", "auto"))
