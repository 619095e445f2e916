"""``doctor``: what the machine has, and what is wrong with it."""

from __future__ import annotations

import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from yoloslim.recipes import doctor, machine

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def plenty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with room everywhere and no graphics card."""
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: Usage(0, 0, 10**12))
    monkeypatch.setattr(doctor, "graphics_cards", lambda: ())
    monkeypatch.setenv("YOLOSLIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("YOLOSLIM_TEST_DATA", str(tmp_path))


def finding(outcome: Any, what: str) -> tuple[str, str, str]:
    (row,) = [row for row in outcome.json["findings"] if row["what"] == what]
    return row["state"], row["found"], row["advice"]


def test_a_healthy_machine_is_described(run: Any, tmp_path: Path) -> None:
    outcome = run("doctor")

    assert (outcome.code, outcome.json["problems"]) == (0, 0)
    assert outcome.out.endswith("nothing is wrong\n")
    assert finding(outcome, "torch")[1].startswith(f"{sys.modules['torch'].__version__}, ")
    assert finding(outcome, "cache")[1] == f"{tmp_path / 'cache'}, 1000.0 GB free"
    assert {"openvino", "onnxruntime", "processor", "GPU", "runs", "data"} <= {
        row["what"] for row in outcome.json["findings"]
    }


@pytest.mark.parametrize(("sets", "says"), [(("AVX2", "BF16"), "bf16-mixed"), (("AVX2",), "")])
def test_a_processor_for_bfloat16_is_told_of(
    sets: tuple[str, ...], says: str, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "instruction_sets", lambda: sets)

    state, found, advice = finding(run("doctor"), "processor")

    assert (state, bool(advice)) == ("ok", bool(says))
    assert found.endswith(", ".join(sets))
    assert says in advice


@pytest.mark.parametrize(("package", "module"), [("safetensors", "safetensors"), ("opencv-python-headless", "cv2")])
def test_a_package_that_cannot_be_imported_fails_the_check(
    package: str, module: str, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)

    outcome = run("doctor")

    assert (outcome.code, finding(outcome, package)[0]) == (1, "broken")
    assert outcome.err == f"error: {outcome.json['error']}\n"
    assert outcome.json["error"].startswith(f"{package}: cannot be imported: import of {module} halted")
    assert f"pip install --force-reinstall {package}" in outcome.json["error"]


def test_an_optional_package_comes_with_the_line_that_installs_it(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "versions", lambda names: {n: "1" for n in names if n in ("torch", "opencv-python")})

    outcome = run("doctor")

    assert outcome.code == 0
    assert finding(outcome, "openvino") == ("absent", "not installed", "pip install 'yoloslim[openvino]'")
    assert finding(outcome, "opencv-python")[0] == "doubtful"
    assert outcome.out.endswith("could be better: 1\n")


def test_what_would_be_in_the_way_is_told(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "graphics_cards", lambda: ("H100",))
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: Usage(0, 0, 64 * 10**6))
    monkeypatch.setenv("YOLOSLIM_TEST_DATA", "nowhere")

    outcome = run("doctor")

    told = {row["what"]: row["found"] for row in outcome.json["findings"] if row["state"] == "doubtful"}
    assert told.pop("runs").endswith("runs, 0.1 GB free")
    assert told.pop("cache").endswith("0.1 GB free")
    assert told == {"GPU": "H100, which torch cannot use", "shared memory": "0.1 GB free", "data": "nowhere: no folder"}
    assert outcome.json["problems"] == 5


def test_a_folder_that_cannot_be_written_is_told(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("YOLOSLIM_CACHE", str(tmp_path / "file" / "cache"))

    assert finding(run("doctor"), "cache")[:2] == ("doubtful", f"{tmp_path / 'file' / 'cache'}: cannot be written")


def test_the_processor_is_known_by_what_linux_says_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        "/proc/cpuinfo": "model name\t: Some CPU @ 2 GHz\nflags\t\t: fpu avx2 avx512f avx512_vnni\n",
        "/proc/meminfo": "MemTotal: 9 kB\nMemAvailable:    2000 kB\n",
    }
    monkeypatch.setattr(machine, "_text", texts.__getitem__)

    assert machine.processor() == "Some CPU @ 2 GHz"
    assert machine.instruction_sets() == ("AVX2", "AVX-512", "VNNI")
    assert machine.memory_bytes() == 2_048_000
