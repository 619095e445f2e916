"""How a command ends: exit codes, one line, JSON, nothing half-written."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from yoloslim.cli import main
from yoloslim.cli.outcome import CheckFailed, finish
from yoloslim.errors import DataError


def failing(error: BaseException) -> Callable[[], dict[str, Any]]:
    def work() -> dict[str, Any]:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DataError("no such picture"), 2, "error: no such picture"),
        (DataError("two\nlines"), 2, "error: two lines"),
        (CheckFailed("they differ"), 1, "error: they differ"),
        (KeyboardInterrupt(), 130, "error: interrupted"),
        (PermissionError(13, "Permission denied", "a.cfg"), 2, "error: a.cfg: Permission denied"),
        (MemoryError("too much"), 2, "error: not enough memory (too much); try a smaller --size or --batch"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory"),
            2,
            "error: not enough memory (DefaultCPUAllocator",
        ),
        (KeyError("x"), 70, "error: a bug in yoloslim, at outcome.py:"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_one_line_and_a_code(
    error: BaseException, code: int, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert finish(failing(error), tmp_path / "r.json", debug=False) == code

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(line)
    assert err.count("\n") == 1
    assert '"error": ' in (tmp_path / "r.json").read_text()


def test_an_error_that_an_interruption_brought_about_is_an_interruption(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted_import() -> dict[str, Any]:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("initialization failed") from None
        return {}

    handler = signal.getsignal(signal.SIGINT)
    assert finish(interrupted_import, None, debug=False) == 130

    assert capsys.readouterr().err == "error: interrupted\n"
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_bug_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    finish(failing(ZeroDivisionError("division by zero")), None, debug=False)

    assert "ZeroDivisionError: division by zero; please report it with the trace that --debug shows" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(("error", "code"), [(DataError("bad"), 2), (KeyError("x"), 70)])
def test_debug_shows_the_trace_and_changes_no_code(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert finish(failing(error), None, debug=True) == code
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.splitlines()[-1].startswith("error: ")


def test_json_is_strict(tmp_path: Path) -> None:
    values = {"a": [math.nan, (math.inf, 1.5)], "b": Path("x"), "c": "ώρα"}

    assert finish(lambda: values, tmp_path / "new" / "r.json", debug=False) == 0

    text = (tmp_path / "new" / "r.json").read_text("utf-8")
    assert "".join(text.split()) == '{"schema":1,"a":[null,[null,1.5]],"b":"x","c":"ώρα"}'


def test_a_json_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()

    assert main(["zoo", "--quiet", "--json", str(tmp_path / "file" / "r.json")]) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(
        f"error: --json, folder {tmp_path}/file: expected a folder, found that {tmp_path}/file is a file"
    )
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["eval", "--foo"], "No such option: --foo"),
        (["prune"], "Missing option '--weights'"),
        (["prune", "--weights", "w", "--percent", "1.5"], "'--percent': expected a number from 0 to 1, found 1.5"),
        (["prune", "--weights", "w", "--round", "0"], "'--round': expected 1 or more, found 0"),
        (
            ["eval", "--weights", "w", "--data", "d", "--conf", "nan"],
            "'--conf': expected a number from 0 to 1, found nan",
        ),
        (["eval", "--weights", "w", "--data", "d", "--resize", "crop"], "letterbox"),
        (["evl"], "Did you mean 'eval'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_that_are_refused_are_one_line_too(
    arguments: list[str], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, f"--json={tmp_path / 'r.json'}"]) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert line in err
    assert err.rstrip().endswith("--help")
    assert '"error": ' in (tmp_path / "r.json").read_text()


def test_a_reader_that_leaves_the_pipe_stops_nothing(tmp_path: Path) -> None:
    command = f"{sys.executable} -m yoloslim info --cfg yolov4 --json r.json; echo $? >&2"
    outcome = subprocess.run(
        ["bash", "-c", f"({command}) | head -1"], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert outcome.stderr == "0\n"
    assert '"layers"' in (tmp_path / "r.json").read_text()


def test_an_interrupt_ends_quietly_and_leaves_no_half_written_file(tmp_path: Path, tiny: tuple[object, ...]) -> None:
    video = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for _ in range(3000):
        video.write(np.zeros((48, 64, 3), np.uint8))
    video.release()
    arguments = ["detect", *map(str, tiny), "--source", "v.avi", "--out", "drawn", "--json", "r.json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "yoloslim", *arguments], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: any((tmp_path / "drawn").glob(".*")) if (tmp_path / "drawn").exists() else False)

    os.kill(process.pid, signal.SIGINT)

    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "error: interrupted\n")
    assert list((tmp_path / "drawn").iterdir()) == []
    assert '"error": "interrupted"' in (tmp_path / "r.json").read_text()


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not start"
        time.sleep(0.01)
