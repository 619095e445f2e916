"""What the originals' flags mean, without running it; and a folder as their users have it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from yoloslim.compat.script import Script


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, without processes beside this one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    return tmp_path


@dataclass(frozen=True)
class Meaning:
    """What a command line means.

    Attributes:
        commands: each a command of ``yoloslim`` with its options and their values; bare flags have none.
        notes: all of them, a line each.
    """

    commands: list[tuple[str, dict[str, list[str]]]]
    notes: str

    @property
    def options(self) -> dict[str, list[str]]:
        """Those of the only command."""
        ((_, options),) = self.commands
        return options


@pytest.fixture
def meant() -> Callable[[Script, str], Meaning]:
    """Gives what a command line means; nothing of it is run."""

    def call(script: Script, line: str) -> Meaning:
        given, notes = script.prepare(script.flags.read(shlex.split(line)))
        found = script.translate(given)
        return Meaning([_command(words) for words in found.commands], "\n".join((*notes, *found.notes)))

    return call


def _command(words: tuple[str, ...]) -> tuple[str, dict[str, list[str]]]:
    name, *rest = words
    options: dict[str, list[str]] = {"": []}
    last = ""
    for word in rest:
        if word.startswith("--"):
            last = word
            options.setdefault(last, [])
        else:
            options[last].append(word)
    return name, {key: values for key, values in options.items() if key or values}


@pytest.fixture
def miniature(folder: Path) -> Path:
    """Eight training and eight validation pictures of 64x64, one class, as their ``.data`` and ``.names`` files say."""
    generator = np.random.default_rng(0)
    for split in ("train", "val"):
        lines = []
        for number in range(8):
            picture = folder / "data" / "images" / split / f"{number}.png"
            label = folder / "data" / "labels" / split / f"{number}.txt"
            for path in (picture, label):
                path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(picture), generator.integers(0, 255, (64, 64, 3), np.uint8))
            label.write_text("0 .4 .5 .5 .6\n")
            lines.append(f"data/images/{split}/{number}.png")
        (folder / "data" / f"{split}.txt").write_text("\n".join(lines) + "\n")
    (folder / "data" / "hand.names").write_text("hand\n")
    data = folder / "data" / "hand.data"
    data.write_text("classes=1\ntrain=data/train.txt\nvalid=data/val.txt\nnames=data/hand.names\n")
    return data
