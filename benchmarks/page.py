"""Runs the benchmarks of steps one after another and writes what they print, with machine and versions, as a page.

Nothing else should run beside it. Run with::

    python benchmarks/page.py docs/benchmarks.md
    python benchmarks/page.py docs/benchmarks_gpu.md --device cuda
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from tqdm import tqdm

DATA = "../shared/data/mnist"
PARTS: dict[str, list[list[str]]] = {
    "A training step beside its products": [["step_cost.py"]],
    "A generator step beside the textbook form": [["generator_step.py"]],
    "Growth": [["growth.py"]],
    "Drawing categories": [["categorical_draws.py"]],
    "Drawing sequences": [["sequence_draws.py"]],
    "The Softmax GAN recipe beside a loop by hand": [["softmax_step.py", "--steps", "200"]],
    "Several processes": [["scaling.py"]],
    "Start-up": [["start_up.py"]],
}

ON_GPU: dict[str, list[list[str]]] = {
    "A training step beside its products": [["step_cost.py"], ["step_cost.py", "--precision", "bf16-mixed"]],
    **{title: PARTS[title] for title in [*PARTS][1:5]},
    "Weights": [["weights.py", "--device", "cuda"]],
}


def machine() -> str:
    """Processor and memory, without a name of the machine."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    number = sum(line.startswith("processor") for line in lines)
    return f"{number} cores of {model}, {platform.system()}"


def table(printed: str) -> str:
    """What a benchmark printed from its first line about the machine on, without what a run says of itself."""
    lines = printed.splitlines()
    start = next((number for number, line in enumerate(lines) if line.startswith("torch ")), len(lines))
    kept = [line for line in lines[start:] if not line or line.startswith(("torch ", "|"))]
    return "\n".join(kept).strip()


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    args = parser.parse_args()
    here = Path(__file__).parent
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True, cwd=here
    )
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "lightning-fabric"))
    text = [
        "# Benchmarks" if args.device == "cpu" else "# Benchmarks on a GPU",
        f"What `make bench{'' if args.device == 'cpu' else '-gpu'}` measured last, as it printed it. What the figures"
        " say: [speed](results/speed.md) and [scaling](scaling.md).",
        f"Commit {commit.stdout.strip()}, {time.strftime('%Y-%m-%d', time.gmtime())}; {machine()}; Python"
        f" {platform.python_version()}, {versions}. Times are medians; in brackets the least and the most.",
    ]
    failed = False
    for title, commands in tqdm((PARTS if args.device == "cpu" else ON_GPU).items(), unit="part"):
        text.append(f"## {title}")
        for words in commands:
            command = [sys.executable, here / words[0], *words[1:]]
            told = subprocess.run(
                command, capture_output=True, text=True, check=False, env=os.environ | {"BENCH_DEVICE": args.device}
            )
            if told.returncode:
                failed = True
                print(f"{words[0]}: {told.stderr[-2000:]}", file=sys.stderr)
            text += [f"`python benchmarks/{' '.join(words)}`", table(told.stdout) or "It failed."]
        args.page.write_text("\n\n".join(text) + "\n")  # after each part: the next may fail
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
