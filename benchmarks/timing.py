"""What benchmarks share: times of several functions side by side, and how a table tells them."""

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

_WARM_UP = 2


def in_turn(functions: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Milliseconds of each, called in turn, so that a drift of the machine's speed meets all alike."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for repeat in range(repeats + _WARM_UP):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if repeat >= _WARM_UP:
                times[name].append(1e3 * (time.perf_counter() - start))
    return times


def told(times: list[float]) -> str:
    """Median, with the least and the most: ``21.3 (20.9, 24.0)``."""
    middle = statistics.median(times)
    digits = 0 if middle >= 100 else 1 if middle >= 10 else 2
    return f"{middle:.{digits}f} ({min(times):.{digits}f}, {max(times):.{digits}f})"


def ratio(times: list[float], others: list[float]) -> float:
    """Of medians."""
    return statistics.median(times) / statistics.median(others)


def resident(field: str) -> float:
    """MiB of this process: ``VmRSS`` now, ``VmHWM`` at most since :func:`forget_peak` (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def forget_peak() -> None:
    """Let ``VmHWM`` begin anew."""
    Path("/proc/self/clear_refs").write_text("5")
