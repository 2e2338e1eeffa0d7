"""What benchmarks share: the device, times of several functions side by side, and how a table tells them."""

import os
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

DEVICE = os.environ.get("BENCH_DEVICE", "cpu")
"""That is measured."""
_WARM_UP = 2


def in_turn(functions: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Milliseconds of each, called in turn, so that a drift of the machine's speed meets all alike."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for repeat in range(repeats + _WARM_UP):
        for name, function in functions.items():
            wait()
            start = time.perf_counter()
            function()
            wait()
            if repeat >= _WARM_UP:
                times[name].append(1e3 * (time.perf_counter() - start))
    return times


def wait() -> None:
    """Until a GPU has done what it was asked to."""
    if DEVICE.startswith("cuda"):
        torch.cuda.synchronize()


def place() -> str:
    """Versions and device, for the line above a table."""
    device = torch.cuda.get_device_name() if DEVICE.startswith("cuda") else f"{torch.get_num_threads()} threads"
    return f"torch {torch.__version__}, {device}"


def told(times: list[float]) -> str:
    """Median, with the least and the most: ``21.3 (20.9, 24.0)``."""
    middle = statistics.median(times)
    digits = 0 if middle >= 100 else 1 if middle >= 10 else 2
    return f"{middle:.{digits}f} ({min(times):.{digits}f}, {max(times):.{digits}f})"


def ratio(times: list[float], others: list[float]) -> float:
    """Of medians."""
    return statistics.median(times) / statistics.median(others)


def growth(function: Callable[[], object], repeats: int) -> float:
    """MiB by which calls raise the memory in use above what stands before them: of the process (Linux), or of a GPU."""
    if DEVICE.startswith("cuda"):
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")
        before = _resident("VmRSS")
    for _ in range(repeats):
        function()
    wait()
    if DEVICE.startswith("cuda"):
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    return _resident("VmHWM") - before


def _resident(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024
