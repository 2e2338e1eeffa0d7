"""What the runs over damaged and odd input share: limits of a process, and a log that the same command goes on with."""

import json
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def limit_memory(more: int) -> None:
    """Let this process have so many bytes of addresses beyond those that it has; and no core file."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + more, used + more))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def read_log(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a log; nothing where there is none."""
    for line in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
        if line.endswith(b"\n"):
            yield json.loads(line)


def add_to_log(path: Path, line: dict[str, Any]) -> None:
    """Add a line to a log."""
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")
