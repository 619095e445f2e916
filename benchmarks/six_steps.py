"""The six steps of examples/originals.sh in the current folder, and AP50 after each as the stages of one JSON.

YOLOSLIM_TEST_DATA=FOLDER python benchmarks/six_steps.py --json FILE
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EPOCHS = 10
"""Of each training, as in recipes/six_steps.toml."""

STEPS = {"dense": "dense", "sparse": "sparse", "pruned": "pruned", "distilled": "finetuned", "quantized": "quantized"}
"""Steps of the script, and the stages of ``compress`` that they are."""


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the figures go")
    args = parser.parse_args()
    script = ["bash", str(ROOT / "examples" / "originals.sh")]
    subprocess.run(script, env={**os.environ, "PYTHON": sys.executable, "EPOCHS": str(EPOCHS)}, check=True)
    stages = [{"name": stage, "map50": map50(Path(f"{step}.json"))} for step, stage in STEPS.items()]
    args.json.write_text(json.dumps({"stages": stages}, indent=1) + "\n")


def map50(report: Path) -> float:
    """Gives the AP50 that test.py left."""
    return json.loads(report.read_text())[0]["map50"]


if __name__ == "__main__":
    main()
