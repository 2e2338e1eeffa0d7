"""The wheel as a stranger meets it: built, installed in an empty environment, tried from another folder.

``make wheel``. It trains, draws, evaluates and measures in the lab, and writes the wheel into ``dist``. The library
alone, torch and numpy, is tried first.
"""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMANDS = (
    "train digits --steps 50 --out run",
    "sample run --num 16 --out digits.png",
    "evaluate run --num 200 --likelihood-num 2 --ais-steps 20",
    "card run",
    "lab --draws 50 --most-tuples 500",
)


def main() -> None:
    pip = [sys.executable, "-m", "pip"]
    subprocess.run([*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", "dist", "."], cwd=ROOT, check=True)
    [wheel] = [path for path in (ROOT / "dist").glob("*.whl") if path.name.startswith(f"discrete_gan-{version()}-")]
    with tempfile.TemporaryDirectory() as folder:
        bin = Path(folder, "environment", "bin")
        venv.create(bin.parent, with_pip=True)
        # Nothing of the checkout: neither its folder nor its path.
        where = {"cwd": folder, "env": {**os.environ, "PYTHONPATH": ""}, "check": True}
        install = [bin / "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt"]
        subprocess.run([*install, "torch", "numpy", wheel], **where)
        own = "import discrete_gan as dg; dg.weights, dg.estimators, dg.losses, dg.models, dg.metrics"
        subprocess.run([bin / "python", "-c", own], **where)
        subprocess.run([*install, f"{wheel}[train]"], **where)
        for command in COMMANDS:
            print(f"\n$ discrete-gan {command}", flush=True)
            subprocess.run([bin / "discrete-gan", *command.split()], **where)
    print(f"\n{wheel.relative_to(ROOT)}: installed and tried")


def version() -> str:
    """Of the checkout."""
    text = (ROOT / "discrete_gan/__init__.py").read_text()
    return text.partition('__version__ = "')[2].partition('"')[0]


if __name__ == "__main__":
    main()
