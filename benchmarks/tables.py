"""The tables that ``quality.py`` knows: which commands each cell runs and which of their figures it shows."""

from __future__ import annotations

from collections.abc import Mapping

from cells import BFLOAT16, Cell, Report, Table, map50
from table_distillation import CELLS, FINGERS
from table_lowbit import lowbit
from table_originals import originals
from table_pruning import pruning
from table_quantization import quantization
from table_training import training

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
    return Cell(f"{network}-dense", network, "dense", (command,), ("map50", "map"), map50)


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


JOURNEYS = {
    "hand_fingers5, one class, 160": ("hand", "hand", ""),
    "bccd, 320": ("bccd", "bccd", ""),
    "bccd, 320, fading longer": ("bccd-45", "bccd", "--set sparsity.epochs=45 --set prune.target=params=0.4 "),
}
"""For each row: the name of its result, its recipe among the examples, and what is changed in it."""

STAGES = ("dense", "sparse", "pruned", "finetuned", "exported")


def stage_cell(row: str, stage: str) -> Cell:
    """Shows one stage of a recipe of the examples."""
    name, recipe, changes = JOURNEYS[row]

    def text(report: Report) -> str:
        stages = {found["name"]: found for found in report["stages"]}
        found, share = stages[stage], stages[stage]["params"] / stages["dense"]["params"]
        kept = "" if stage in ("dense", "sparse") else f" ({100 * share:.0f} % of the parameters)"
        return f"{found['map50']:.3f}{kept}"

    command = f"yoloslim compress examples/{recipe}.toml {changes}{BFLOAT16} --out run"
    return Cell(name, row, stage, (command,), ("stages",), text)


def first() -> Table:
    """The whole road on two small data sets."""
    cells = [stage_cell(row, stage) for row in JOURNEYS for stage in STAGES]
    title = "AP50 on the test pictures, stage by stage, YOLOv3-tiny from its COCO weights"
    return Table("first", title, "data set, input", tuple(JOURNEYS), STAGES, tuple(cells))


TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        prune_coco128(),
        first(),
        training(),
        pruning(),
        quantization(),
        lowbit(),
        originals(),
        FINGERS,
        CELLS,
    )
}
