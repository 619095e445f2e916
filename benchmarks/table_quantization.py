"""The table ``quantization``: networks in float, on integers as they are, and trained with the rounding."""

from __future__ import annotations

from dataclasses import dataclass

from cells import BFLOAT16, RUNS, Cell, Report, Table, hidden, map50

COLUMNS = ("float", "8 bits, ranges measured", "8 bits, trained")
STAGES = {"dense": "dense", "pruned": "finetuned"}
EPOCHS = 10
"""Of the training with rounding."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is quantized: the networks of a recipe of the examples.

    Attributes:
        options: of every command.
        settings: of a training, those of the recipe.
    """

    recipe: str
    title: str
    options: str
    settings: str = ""

    def training(self, weights: str, more: str) -> str:
        """Gives the command of a training with rounding."""
        return " ".join(filter(None, ("yoloslim train", weights, self.options, self.settings, more, "--out run")))


JOBS = (
    Job("hand", "hand_fingers5, one class, 160", "--data examples/hand_fingers5.yaml --single-class"),
    Job(
        "bccd",
        "bccd, 320",
        "--data examples/bccd.yaml",
        "--set data.resize=stretch --set augment.flip_vertical=0.5",
    ),
)


def rows_cells(job: Job, kind: str) -> list[Cell]:
    """Gives the row of one network."""
    row, name = f"{job.title}, {kind}", f"{job.recipe}-{kind}"
    weights = f"--weights {RUNS}{job.recipe}/run/{STAGES[kind]}/{job.recipe}.safetensors"
    rounding = f"--quantize google --epochs {EPOCHS} --set train.learning_rate=0.004 --set train.eval_every={EPOCHS}"
    commands = {
        "float": (f"yoloslim eval {weights} {job.options}",),
        "ptq": (f"yoloslim quantize {weights} {job.options} --out quantized",),
        "qat": (
            job.training(weights, rounding),
            f"yoloslim eval --weights run/last.safetensors {job.options}",
        ),
    }
    texts = (map50, after, map50)
    kinds = zip(commands.items(), COLUMNS, texts, strict=True)
    return [Cell(f"{name}-{mode}", row, column, words, ("map50",), text) for (mode, words), column, text in kinds]


def after(report: Report) -> str:
    """Shows the AP50 of what ``quantize`` gave."""
    return f"{report['map50']['after']:.3f}"


def quantization() -> Table:
    """Two data sets, dense and pruned."""
    cells = [
        hidden(job.recipe, f"yoloslim compress examples/{job.recipe}.toml {BFLOAT16} --out run", keys=("stages",))
        for job in JOBS
    ]
    cells += [cell for job in JOBS for kind in STAGES for cell in rows_cells(job, kind)]
    rows = tuple(dict.fromkeys(cell.row for cell in cells if cell.row))
    title = "AP50 on the test pictures in float and on 8-bit integers, YOLOv3-tiny from its COCO weights"
    return Table("quantization", title, "data set, input", rows, COLUMNS, tuple(cells))
