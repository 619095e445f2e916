"""The six steps of the first document, as examples/originals.sh has them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from yoloslim.cli import main

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "originals.sh"
STEPS = ("dense", "sparse", "pruned", "distilled", "quantized")
NEEDS = {"distilled": "--distill", "quantized": "--quantize"}
"""Steps, and the option of ``yoloslim train`` that they need."""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="runs a shell script")
def test_the_six_steps_run_to_the_end_or_to_the_first_that_is_not_known(
    folder: Path, miniature: Path, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["train", "--help"])
    can = capsys.readouterr().out
    known = [step for step in STEPS if NEEDS.get(step, "") in can]
    settings = {
        "PYTHON": sys.executable,
        "EPOCHS": "1",
        "SIZE": "64",
        "DATA": str(miniature),
        "SOURCE": "data/images/val",
    }
    environment = {**os.environ, **settings, "YOLOSLIM_TEST_DATA": str(data_dir)}

    run = subprocess.run(["bash", str(SCRIPT)], env=environment, capture_output=True, text=True, check=False)

    assert [step for step in STEPS if (folder / f"{step}.json").exists()] == known, run.stderr
    assert all(json.loads((folder / f"{step}.json").read_text())[0]["images"] == 8 for step in known)
    if known == list(STEPS):
        assert run.returncode == 0, run.stderr
        assert len(list((folder / "output").iterdir())) == 8
    else:
        assert run.stderr.splitlines()[-1].startswith("error: No such option")
