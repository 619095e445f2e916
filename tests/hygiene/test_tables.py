"""Tables of results: what their cells run exists, and what is stored of them counts only as it stands now."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from yoloslim.cli import app

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = typer.main.get_command(app).commands
FOLDERS = ("examples/", "benchmarks/")


@pytest.fixture
def quality(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    """The driver, with an empty folder for results."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import quality

    monkeypatch.setattr(quality, "RESULTS", tmp_path)
    yield quality
    for name in [name for name, module in sys.modules.items() if "benchmarks" in str(getattr(module, "__file__", ""))]:
        monkeypatch.delitem(sys.modules, name)


def words_of(quality: ModuleType) -> Iterator[tuple[str, list[str]]]:
    """Yields every command of every cell once, its first word apart."""
    commands = {command for table in quality.TABLES.values() for cell in table.cells for command in cell.commands}
    for command in sorted(commands):
        first, *words = shlex.split(command)
        yield first, words


def test_every_command_is_one_that_can_be_typed(quality: ModuleType) -> None:
    for first, words in words_of(quality):
        if first == "yoloslim":
            command = COMMANDS[words[0]]
            command.make_parser(command.context_class(command)).parse_args(words[1:])  # no such option: it raises
        else:
            assert (ROOT / first).is_file(), first
        for word in words:
            assert not word.startswith(FOLDERS) or (ROOT / word).exists(), word


def test_cells_stand_behind_those_they_go_on_from_and_in_a_row_that_is_shown(quality: ModuleType) -> None:
    for table in quality.TABLES.values():
        seen: dict[str, Any] = {}
        for cell in table.cells:
            assert cell.needs <= seen.keys(), cell.name
            assert seen.setdefault(cell.name, cell.commands) == cell.commands, cell.name
            assert not cell.row or (cell.row in table.rows and cell.column in table.columns), cell.name


def test_nothing_is_stored_that_no_table_has(quality: ModuleType) -> None:
    for folder in (path for path in (ROOT / "benchmarks" / "results").iterdir() if path.is_dir()):
        known = {cell.name for cell in quality.TABLES[folder.name].cells}
        assert {path.stem for path in folder.iterdir()} <= known, folder.name


def test_a_figure_counts_while_it_and_what_it_goes_on_from_are_run_as_they_stand(quality: ModuleType) -> None:
    table = quality.TABLES["pruning"]
    parents = [table.named("hand-dense"), table.named("hand-sparse")]
    cell = table.named("hand-sparse-normal-50")
    for each in (*parents, cell):
        path = quality.RESULTS / table.name / f"{each.name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({**quality.what_is_run(each), "report": {}}))
    assert quality.read(table, cell) is not None

    old = quality.RESULTS / table.name / "hand-dense.json"
    old.write_text(json.dumps({**quality.what_is_run(parents[0]), "commands": ["yoloslim train"], "report": {}}))

    assert [quality.read(table, each) for each in (*parents, cell)] == [None, None, None]
    assert "not run" in quality.markdown(table)
