"""Tables of results: one JSON a cell, run only where it is missing, printed as Markdown.

    python benchmarks/quality.py --list                     the tables, and how much of each has been run
    python benchmarks/quality.py prune-coco128              run what is missing, then print the table
    python benchmarks/quality.py prune-coco128 --show       print the table; a cell that was not run says so
    python benchmarks/quality.py prune-coco128 --cells 'yolo-fastest*'     only cells whose name matches

A cell is what the ``yoloslim`` command itself reports, with the command line, its recipe, versions, machine and seconds
beside it in ``benchmarks/results/TABLE/``. Several cells may show figures of one run, or start from what was run once
for all of them. It works in ``runs/quality/``, so that a run that was stopped goes on. Pictures and weights are found
through the environment variable YOLOSLIM_TEST_DATA.
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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from environment import machine, versions
from tables import TABLES, Cell, Shared, Table

ROOT = Path(__file__).resolve().parent.parent
OWN = ("examples/", "benchmarks/")  # what commands name in the repository
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
    """Gives the record of a cell, None where it has not been run."""
    path = RESULTS / table.name / f"{cell.name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def run(table: Table, cell: Cell) -> None:
    """Runs the commands of a cell and stores what the last one reports."""
    print(f"{table.name}: {cell.name}", file=sys.stderr, flush=True)
    start = time.perf_counter()
    folder = ROOT / "runs" / "quality" / table.name / cell.name
    folder.mkdir(parents=True, exist_ok=True)
    shared = prepared(table, cell.shared) if cell.shared else folder
    for command in cell.commands:
        words = [word.replace("{shared}", str(shared)) for word in shlex.split(command)]
        execute([*words, "--json", "report.json"], folder)
    report = json.loads((folder / "report.json").read_text())
    commands = [*(cell.shared.commands if cell.shared else ()), *cell.commands]
    recipes = [ROOT / word for command in commands for word in shlex.split(command) if word.endswith(".toml")]
    record = {
        "cell": cell.name,
        "commands": commands,
        "recipes": {path.name: tomllib.loads(path.read_text()) for path in recipes},
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
    shutil.rmtree(folder)


def prepared(table: Table, shared: Shared) -> Path:
    """Gives the folder of what several cells start from; its commands are run where that was not done before."""
    folder = ROOT / "runs" / "quality" / table.name / shared.name
    done = folder / "done"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        for command in shared.commands:
            execute([*shlex.split(command), "--json", "report.json"], folder)
        done.touch()
    return folder


def execute(words: Sequence[str], folder: Path) -> None:
    """Runs one ``yoloslim`` command in a folder; what it prints goes to ``log.txt`` there, its error is shown."""
    expanded = [os.path.expandvars(f"{ROOT}/{word}" if word.startswith(OWN) else word) for word in words]
    with (folder / "log.txt").open("a") as log:
        done = subprocess.run(
            [sys.executable, "-m", *expanded], cwd=folder, stdout=log, stderr=subprocess.PIPE, text=True, check=False
        )
    if done.returncode:
        raise SystemExit(f"{shlex.join(words)}\n{done.stderr}")


def markdown(table: Table) -> str:
    """Gives the table as Markdown; a cell that was not run says so."""
    heads = [table.corner, *table.columns, *table.summary]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    records = {(cell.row, cell.column): read(table, cell) for cell in table.cells}
    reports = {place: record["report"] for place, record in records.items() if record is not None}
    for row in table.rows:
        texts = [row]
        for column in table.columns:
            report = reports.get((row, column))
            texts.append("not run" if report is None else table.at(row, column).text(report))
        texts += [show(row, reports) for show in table.summary.values()]
        lines.append("| " + " | ".join(texts) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
