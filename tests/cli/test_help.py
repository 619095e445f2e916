"""Help answers at once, in plain words that fit a terminal."""

import resource
import subprocess
import sys

import pytest

from yoloslim import __version__
from yoloslim.cli import main

COMMANDS = [
    *("demo", "train", "tune", "compress", "zoo", "cfg", "info", "check", "why", "anchors"),
    *("eval", "detect", "compare", "prune", "export", "bench", "report", "convert", "doctor", "plan diff"),
    *("data list", "data fetch", "data convert", "data check", "data stats"),
]


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


def test_help_takes_less_than_half_a_second() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert python("-m", "yoloslim", "--help").returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)

    # Of the processor, not of the clock: other work on the machine does not count.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


@pytest.mark.parametrize(
    "arguments", [["--help"], *([*name.split(), "--help"] for name in COMMANDS), ["evl"], ["eval"]]
)
def test_what_needs_no_work_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        f"import sys\nfrom yoloslim.cli import main\nmain({arguments})\n"
        "print(sorted({'torch', 'numpy', 'cv2', 'rich', 'yaml'} & sys.modules.keys()))"
    )
    assert python("-c", code).stdout.endswith("[]\n")


def test_python_m_answers_as_the_command_does() -> None:
    outcome = python("-m", "yoloslim", "info")

    assert outcome.returncode == 2
    assert outcome.stderr.startswith("error: info needs --cfg")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_80_columns(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    assert main([*command.split(), "--help"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines if line.endswith("...") and not line.startswith("Usage")]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_the_shared_options(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([*command.split(), "--help"])
    text = capsys.readouterr().out

    assert [o for o in ("--json", "--seed", "--device", "--quiet", "--debug") if f"  {o} " not in f"{text} "] == []


@pytest.mark.parametrize("arguments", [[], ["data"]])
def test_no_arguments_give_the_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith(" ".join(["Usage: yoloslim", *arguments]))


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"yoloslim {__version__}\n"
