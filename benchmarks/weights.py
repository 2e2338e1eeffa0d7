"""Time and memory of weights on (1,000, 4,096), as ratios to torch's own passes, to arviz and to particles, in one run.

Each function is timed in turn with what it is compared to, several times. The ratio is that of the least times, and
beside it stand the least and the largest of the single turns. Memory is the peak above what was there before, results
counted, over the size of the input. arviz and particles loop over columns, as they do; both are optional, and a line
says so where one is not there::

    pip install arviz==0.23.4 particles
    python benchmarks/weights.py
"""

import argparse
import ctypes
import importlib
import os
import time
from collections.abc import Callable
from types import ModuleType

import torch
from torch import Tensor

from discrete_gan.weights import METHODS, normalized_weights, psis, resample

M, B = 1000, 4096
ARVIZ_COLUMNS = 256  # arviz takes a second for as many: its time is scaled up


def optional(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"{name.partition('.')[0]} is not there, and not compared with: pip install {name.partition('.')[0]}")
        return None


def seconds(function: Callable[[], object], device: str) -> float:
    """Of one thread on a CPU the seconds that it had, else those that went by: others on the machine count less."""
    synchronize = torch.cuda.synchronize if device == "cuda" else lambda: None
    clock = time.process_time if device == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    synchronize()
    start = clock()
    function()
    synchronize()
    return clock() - start


def rounds_of(functions: dict[str, Callable[[], object]], repeats: int, device: str) -> dict[str, list[float]]:
    """Seconds of several rounds in which each has its turn, after one that does not count."""
    rounds = [{name: seconds(each, device) for name, each in functions.items()} for _ in range(repeats + 1)]
    return {name: [each[name] for each in rounds[1:]] for name in functions}


def peak_bytes(function: Callable[[], object], device: str) -> int:
    """Above what was there before. On a CPU of the process, from Linux's own count."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        function()
        return torch.cuda.max_memory_allocated() - before
    ctypes.CDLL(None).malloc_trim(0)  # what was freed is given back, and taken anew
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak begins anew
    before = _status("VmRSS")
    function()
    return _status("VmHWM") - before


def _status(field: str) -> int:
    with open("/proc/self/status") as file:
        (line,) = [line for line in file if line.startswith(field)]
    return 1024 * int(line.split()[1])


def row(name: str, other: str, rounds: dict[str, list[float]], *, faster: bool) -> str:
    mine, theirs = 1000 * min(rounds[name]), 1000 * min(rounds[other])
    above, below = (other, name) if faster else (name, other)
    ratios = [a / b for a, b in zip(rounds[above], rounds[below], strict=True)]
    ratio = f"{theirs / mine:.1f} times as fast" if faster else f"{mine / theirs:.2f} of its time"
    return f"| {name} | {mine:.1f} | {other} | {theirs:.1f} | {ratio} | {min(ratios):.2f} to {max(ratios):.2f} |"


def main() -> None:
    """Time everything and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    log_w: Tensor = 3 * torch.randn(M, B, device=args.device)
    columns = log_w.cpu().numpy()
    functions: dict[str, Callable[[], object]] = {
        "softmax": lambda: log_w.softmax(dim=0),
        "normalized_weights": lambda: normalized_weights(log_w),
        "cumulative sum": lambda: log_w.cumsum(dim=0),
        "psis": lambda: psis(log_w),
        **{f"resample, {method}": lambda method=method: resample(log_w, method=method) for method in METHODS},
    }
    pairs = [("normalized_weights", "softmax", False), ("resample, systematic", "cumulative sum", False)]
    if (arviz := optional("arviz")) is not None:
        few = columns[:, :ARVIZ_COLUMNS].T.astype("float64")
        functions["arviz.psislw"] = lambda: arviz.psislw(few)
        pairs.append(("psis", "arviz.psislw", True))
    if (theirs := optional("particles.resampling")) is not None:
        for method in METHODS:
            functions[f"particles, {method}"] = lambda method=method: [
                theirs.resampling(method, theirs.exp_and_normalise(columns[:, column])) for column in range(B)
            ]
            pairs.append((f"resample, {method}", f"particles, {method}", True))
    rounds = rounds_of(functions, args.repeats, args.device)
    if "arviz.psislw" in rounds:
        rounds["arviz.psislw"] = [each * B / ARVIZ_COLUMNS for each in rounds["arviz.psislw"]]
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"torch {torch.__version__}, {args.device}, {args.threads} threads, least of {args.repeats}, load {load}\n")
    print("| function | ms | beside | ms | ratio | single turns |")
    print("|---|---|---|---|---|---|")
    for name, other, faster in pairs:
        print(row(name, other, rounds, faster=faster))
    print("\n| function | peak memory over the input |")
    print("|---|---|")
    for name in ("normalized_weights", "psis", *(f"resample, {method}" for method in METHODS)):
        print(f"| {name} | {peak_bytes(functions[name], args.device) / log_w.nbytes:.1f} |")


if __name__ == "__main__":
    main()
