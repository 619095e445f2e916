"""The table ``originals``: their six steps by their own commands, beside the same through ``compress``."""

from __future__ import annotations

from cells import Cell, Report, Table

STAGES = ("dense", "sparse", "pruned", "finetuned", "quantized")
COMMANDS = {
    "the originals' commands": "benchmarks/six_steps.py",
    "`compress`": "yoloslim compress benchmarks/recipes/six_steps.toml --out run",
}


def stage_cell(row: str, stage: str) -> Cell:
    """Shows AP50 after one stage."""

    def text(report: Report) -> str:
        return f"{next(found['map50'] for found in report['stages'] if found['name'] == stage):.3f}"

    name = "commands" if row.startswith("the") else "compress"
    return Cell(name, row, stage, (COMMANDS[row],), ("stages",), text)


def originals() -> Table:
    """Blood cells, YOLOv3-tiny, 30 % of the channels."""
    cells = tuple(stage_cell(row, stage) for row in COMMANDS for stage in STAGES)
    title = (
        "AP50 on the test pictures of bccd, step by step, YOLOv3-tiny from COCO weights, 30 % of the channels removed,"
        " 10 epochs a training"
    )
    return Table("originals", title, "by", tuple(COMMANDS), STAGES, cells)
