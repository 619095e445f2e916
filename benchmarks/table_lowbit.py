"""The table ``lowbit``: pruned networks trained with rounding, by every scheme, in few bits, at powers of two."""

from __future__ import annotations

from dataclasses import dataclass

from cells import BFLOAT16, RUNS, Cell, Reports, Table, hidden, map50
from table_quantization import JOBS, STAGES, Job

SHORT, SLOW, LONG = (10, 0.004), (10, 0.001), (20, 0.02)
"""Epochs and rate of the training. Without batch-norm a network bears a lower rate; few bits and DoReFa's ranges
change a network more: they learn longer."""

KIND = "pruned"
FLOAT = "float"


@dataclass(frozen=True, slots=True)
class Way:
    """One kind of rounding.

    Attributes:
        name: of its cells.
        title: of its row.
        options: of ``yoloslim train``.
        theirs: AP50 that the originals report of it, YOLOv3 at 640 on their hands; empty for none.
    """

    name: str
    title: str
    options: str
    theirs: str = ""


def bits(scheme: str, count: int, lesson: tuple[int, float] | None = None) -> str:
    """Gives the options of a training by a scheme, with so many bits for weights and values."""
    epochs, rate = lesson or (LONG if count < 8 or scheme == "dorefa" else SHORT)
    length = f"--epochs {epochs} --set train.eval_every={epochs} --set train.learning_rate={rate}"
    return f"--quantize {scheme} --weight-bits {count} --activation-bits {count} {length}"


WAYS = (
    Way(FLOAT, "float", "", ".847"),
    Way("google-8", "google, 8 bits, batch-norm folded before", f"{bits('google', 8, SLOW)} --no-fold-bn", ".851"),
    Way("google-8-fold", "google, 8 bits, folded as it learns", bits("google", 8), ".851"),
    Way("google-8-two", "the same at powers of two", f"{bits('google', 8)} --power-of-two", ".852"),
    Way("google-4", "google, 4 bits, batch-norm folded before", f"{bits('google', 4)} --no-fold-bn"),
    Way(
        "google-4-two",
        "the same, folded as it learns, powers of two",
        f"{bits('google', 4)} --power-of-two",
        ".842",
    ),
    Way("dorefa-8", "dorefa, 8 bits", bits("dorefa", 8)),
    Way("dorefa-4", "dorefa, 4 bits", bits("dorefa", 4)),
    Way("lsq-4", "lsq, 4 bits", bits("lsq", 4)),
    Way("lsq-2", "lsq, 2 bits", bits("lsq", 2)),
    Way("lsq-2-ends", "lsq, 2 bits, first and last layers 8", f"{bits('lsq', 2)} --ends-at-8"),
)


def cell_of(job: Job, way: Way) -> Cell:
    """Gives the cell of one kind of rounding on one data set."""
    weights = f"--weights {RUNS}{job.recipe}/run/{STAGES[KIND]}/{job.recipe}.safetensors"
    commands: tuple[str, ...] = (f"yoloslim eval {weights} {job.options}",)
    if way.options:
        commands = (job.training(weights, way.options), f"yoloslim eval --weights run/last.safetensors {job.options}")
    return Cell(f"{job.recipe}-{way.name}", way.title, job.title, commands, ("map50",), map50)


def points(row: str, reports: Reports) -> str:
    """Gives the points of AP50 that a row is above float, on each data set."""
    found = [
        f"{100 * (reports[row, job.title]['map50'] - reports[FLOAT, job.title]['map50']):+.1f}"
        for job in JOBS
        if {(row, job.title), (FLOAT, job.title)} <= reports.keys()
    ]
    return ", ".join(found)


def theirs(row: str, reports: Reports) -> str:
    """Gives what the originals report of a row."""
    return next(way.theirs for way in WAYS if way.title == row)


def lowbit() -> Table:
    """Two data sets, pruned networks."""
    cells = [
        hidden(job.recipe, f"yoloslim compress examples/{job.recipe}.toml {BFLOAT16} --out run", keys=("stages",))
        for job in JOBS
    ]
    cells += [cell_of(job, way) for job in JOBS for way in WAYS]
    title = "AP50 on the test pictures, pruned YOLOv3-tiny trained with rounding from its float form"
    rows, columns = tuple(way.title for way in WAYS), tuple(job.title for job in JOBS)
    summary = {"points above float": points, "the originals, YOLOv3 at 640, their hands": theirs}
    return Table("lowbit", title, "weights and values", rows, columns, tuple(cells), summary)
