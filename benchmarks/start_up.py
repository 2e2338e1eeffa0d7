"""CPU seconds of commands that have a mistake in them, or only list or explain, beside ``import torch``.

Run with::

    python benchmarks/start_up.py

Each is a process of its own; the median of interleaved repetitions, user and system time together.
"""

import argparse
import os
import statistics
import subprocess
import sys

import torch

COMMANDS = (
    "--help",
    "recipes",
    "nosuch",
    "train digits --help",
    "train digits --nosuch",
    "train digits --data nosuch",
    "train nosuch",
    "sample runs/nosuch",
    "evaluate runs/nosuch",
    "compare digits --nosuch",
    "lab --nosuch",
    "check nosuch",
)


def cpu_seconds(words: list[str]) -> float:
    """User and system time of a process and its children."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0  # it has been waited for
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    run = [sys.executable, "-m", "discrete_gan"]
    processes = {"import torch": [sys.executable, "-c", "import torch"]}
    processes |= {words: [*run, *words.split()] for words in COMMANDS}
    times: dict[str, list[float]] = {name: [] for name in processes}
    for repeat in range(args.repeats + 1):
        for name, words in processes.items():
            seconds = cpu_seconds(words)
            if repeat:  # the first one fills the disk's cache
                times[name].append(seconds)
    of_torch = statistics.median(times["import torch"])
    print(f"torch {torch.__version__}, {args.repeats} times\n")
    print("| command | CPU seconds, median | least | most | of import torch |\n|---|---|---|---|---|")
    for name, found in times.items():
        median = statistics.median(found)
        print(f"| `{name}` | {median:.2f} | {min(found):.2f} | {max(found):.2f} | {median / of_torch:.2f} |")


if __name__ == "__main__":
    main()
