"""Tables of results: one JSON a cell, run only where it is missing, printed as Markdown.

    python benchmarks/quality.py --list                     the tables, and how much of each has been run
    python benchmarks/quality.py prune-coco128              run what is missing, then print the table
    python benchmarks/quality.py prune-coco128 --show       print the table; a cell that was not run says so
    python benchmarks/quality.py prune-coco128 --cells 'yolo-fastest*'     only cells whose name matches

A cell is what the ``yoloslim`` command itself reports, with the command line, its recipe, versions, machine and seconds
beside it in ``benchmarks/results/TABLE/``. Several cells may show figures of one run, or go on from what another left.
It works in ``runs/quality/``, so that a run that was stopped goes on; what no cell goes on from is deleted there.
Pictures and weights are found through the environment variable YOLOSLIM_TEST_DATA.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from cells import RUNS, Cell, Table
from environment import machine, versions
from tables import TABLES

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="?", choices=sorted(TABLES), help="the table to run and print")
    parser.add_argument("--list", action="store_true", help="list the tables")
    parser.add_argument("--show", action="store_true", help="run nothing, only print")
    parser.add_argument("--cells", default="*", metavar="PATTERN", help="only cells whose name matches")
    args = parser.parse_args()
    if args.list or args.table is None:
        print(
            "\n".join(
                f"{name:20} {done(table)} of {len(table.cells)} cells: {table.title}" for name, table in TABLES.items()
            )
        )
        return
    table = TABLES[args.table]
    if not args.show:
        for cell in table.cells:
            if fnmatch.fnmatch(cell.name, args.cells) and read(table, cell) is None:
                run(table, cell)
    print(markdown(table))


def done(table: Table) -> int:
    """Gives the number of cells that have been run."""
    return sum(read(table, cell) is not None for cell in table.cells)


def read(table: Table, cell: Cell) -> dict[str, Any] | None:
    """Gives the record of a cell, None where it, or one it goes on from, has not been run as it stands now."""
    path = RESULTS / table.name / f"{cell.name}.json"
    record = json.loads(path.read_text()) if path.exists() else None
    is_valid = record and {key: record.get(key, {}) for key in ("commands", "recipes")} == what_is_run(cell)
    return record if is_valid and all(read(table, table.named(name)) for name in cell.needs) else None


def what_is_run(cell: Cell) -> dict[str, Any]:
    """Gives the commands of a cell, and the recipes that they name."""
    recipes = [ROOT / word for command in cell.commands for word in shlex.split(command) if word.endswith(".toml")]
    tables = {path.name: tomllib.loads(path.read_text()) for path in recipes}
    return {"commands": list(cell.commands), "recipes": tables}


def run(table: Table, cell: Cell) -> None:
    """Runs the commands of a cell, before them those of cells that it needs, and stores what the last one reports."""
    for name in sorted(cell.needs):
        if not report_of(table, table.named(name)).exists():
            run(table, table.named(name))
    print(f"{table.name}: {cell.name}", file=sys.stderr, flush=True)
    start = time.perf_counter()
    report = json.loads(execute(table, cell).read_text())
    record = {
        "cell": cell.name,
        **what_is_run(cell),
        "seconds": round(time.perf_counter() - start, 1),
        "machine": machine(),
        "versions": versions(),
        "report": {key: report[key] for key in cell.keys},
    }
    path = RESULTS / table.name / f"{cell.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(record, indent=1) + "\n")
    temporary.replace(path)
    if not any(cell.name in other.needs for other in table.cells):
        shutil.rmtree(folder_of(table, cell))


def folder_of(table: Table, cell: Cell) -> Path:
    """Gives the folder that a cell's commands run in."""
    return ROOT / "runs" / "quality" / table.name / cell.name


def report_of(table: Table, cell: Cell) -> Path:
    """Gives the JSON of a cell's last command, which is there when all have been run."""
    return folder_of(table, cell) / f"report-{len(cell.commands)}.json"


def execute(table: Table, cell: Cell) -> Path:
    """Runs the commands of a cell that have not been run, and gives the report of the last one.

    What they print goes to ``log.txt`` in the cell's folder; an error is shown.
    """
    folder = folder_of(table, cell)
    folder.mkdir(parents=True, exist_ok=True)
    for number, command in enumerate(cell.commands, 1):
        report = folder / f"report-{number}.json"
        if report.exists():
            continue
        part = report.with_suffix(".part")
        with (folder / "log.txt").open("a") as log:
            done = subprocess.run(
                [*program(table, command), "--json", str(part)],
                cwd=folder,
                stdout=log,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        if done.returncode != (cell.exit_code if number == len(cell.commands) else 0):
            raise SystemExit(f"{command}\n{done.stderr}")
        part.replace(report)
    return report


def program(table: Table, command: str) -> list[str]:
    """Gives the words of a command with its files and variables put in."""
    first, *words = shlex.split(command)
    folders = {RUNS: f"{ROOT}/runs/quality/{table.name}/", "examples/": f"{ROOT}/examples/"}
    folders["benchmarks/"] = f"{ROOT}/benchmarks/"
    for short, folder in folders.items():
        words = [word.replace(short, folder, 1) if word.startswith(short) else word for word in words]
    start = ["-m", first] if first == "yoloslim" else [str(ROOT / first)]
    return [sys.executable, *start, *(os.path.expandvars(word) for word in words)]


def markdown(table: Table) -> str:
    """Gives the table as Markdown; a cell that was not run says so."""
    heads = [table.corner, *table.columns, *table.summary]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    records = {(cell.row, cell.column): read(table, cell) for cell in table.cells if cell.row}
    reports = {place: record["report"] for place, record in records.items() if record is not None}
    for row in table.rows:
        texts = [row, *(shown(table, row, column) for column in table.columns)]
        texts += [show(row, reports) for show in table.summary.values()]
        lines.append("| " + " | ".join(texts) + " |")
    return "\n".join(lines)


def shown(table: Table, row: str, column: str) -> str:
    """Gives what stands in one place of the table."""
    cell = table.at(row, column)
    if cell is None:
        return ""
    record = read(table, cell)
    return "not run" if record is None else cell.text(record["report"])


if __name__ == "__main__":
    main()
