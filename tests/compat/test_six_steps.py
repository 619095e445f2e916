"""The six steps of the first document, as examples/originals.sh has them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "originals.sh"
STEPS = ("dense", "sparse", "pruned", "distilled", "quantized")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="runs a shell script")
def test_the_six_steps_run_to_the_end(folder: Path, miniature: Path, data_dir: Path) -> None:
    settings = {
        "PYTHON": sys.executable,
        "EPOCHS": "1",
        "SIZE": "64",
        "DATA": str(miniature),
        "SOURCE": "data/images/val",
    }
    environment = {**os.environ, **settings, "YOLOSLIM_TEST_DATA": str(data_dir)}

    run = subprocess.run(["bash", str(SCRIPT)], env=environment, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr
    assert all(json.loads((folder / f"{step}.json").read_text())[0]["images"] == 8 for step in STEPS)
    assert len(list((folder / "output").iterdir())) == 8
